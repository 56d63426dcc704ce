//! Under which shardings a pseudonym may ask, and which it has asked under.

use super::inner::Inner;
use super::sharding::Sharding;
use crate::error::Error;

impl Inner {
    /// # Errors
    /// [`Error::Sharding`] if nothing may be asked under this sharding.
    pub(super) fn check_sharding(&self, sharding: Sharding) -> Result<(), Error> {
        let state = self.lock();
        sharding.check(&self.options.sharding, state.sharding, state.rows)?;
        Ok(())
    }

    /// Notes the sharding as the one that this pseudonym asks under.
    ///
    /// # Errors
    /// [`Error::Sharding`] if nothing may be asked under this sharding.
    pub(super) fn pin_sharding(&self, sharding: Sharding) -> Result<(), Error> {
        let mut state = self.lock();
        let checked = sharding.check(&self.options.sharding, state.sharding, state.rows)?;
        let told_bits = state.told_bits.max(sharding.bits());
        let is_new = checked.is_some() && checked != state.sharding;
        if is_new || told_bits != state.told_bits {
            state.sharding = checked.or(state.sharding);
            state.told_bits = told_bits;
            drop(state);
            self.note_change();
        }
        Ok(())
    }

    /// Bits that each keyword of a URL counts for: those of the largest number of shards that this pseudonym asked under. With
    /// fewer shards, more keywords would fit below the limit, and tell their bits besides what the first ones told before.
    /// One shard tells nothing.
    pub(super) fn told_bits(&self, sharding: Sharding) -> u32 {
        match sharding.bits() {
            0 => 0,
            bits => bits.max(self.lock().told_bits),
        }
    }
}
