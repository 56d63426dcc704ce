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
        if checked.is_some() && checked != state.sharding {
            state.sharding = checked;
            drop(state);
            self.note_change();
        }
        Ok(())
    }
}
