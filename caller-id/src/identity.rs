//! What is shown of a caller.

use prost::Message;

/// Largest identity, in bytes: the table of the lookup has 16 bits for the length of a value.
pub const MAX_IDENTITY: usize = u16::MAX as usize;

/// The message `CallIdentity` of Apple's data format.
#[derive(Clone, PartialEq, Message)]
struct CallIdentity {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    icon: Option<Icon>,
    #[prost(uint32, tag = "3")]
    cache_expiry_minutes: u32,
    #[prost(enumeration = "IdentityCategory", tag = "4")]
    category: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Icon {
    #[prost(enumeration = "ImageFormat", tag = "1")]
    format: i32,
    #[prost(bytes = "vec", tag = "2")]
    image: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum ImageFormat {
    Unspecified = 0,
    Heic = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum IdentityCategory {
    Unspecified = 0,
    Person = 1,
    Business = 2,
}

/// What kind of caller it is. Devices may show kinds differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Category {
    /// The list says nothing, or a kind that this version does not know.
    Unspecified,
    /// A person: `person` in lists.
    Person,
    /// A business: `business` in lists.
    Business,
}

/// What devices show of a caller: a name, possibly an icon, and a category.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity(CallIdentity);

/// An identity cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The name is empty.
    #[error("the name is empty; expected what devices show")]
    NoName,
    /// The name has a control character.
    #[error("the name has a control character, which devices cannot show")]
    Control,
    /// The icon is not an image that devices read.
    #[error("the icon is not a HEIC image{}; convert it, for example with `sips -s format heic`", looks_like(*.0))]
    NotHeic(Option<&'static str>),
    /// Name and icon together are too large.
    #[error("{0} bytes of name and icon; expected at most {MAX_IDENTITY}: use a smaller icon")]
    TooLarge(usize),
    /// The bytes are not the message `CallIdentity`.
    #[error("not a valid message CallIdentity")]
    NotAMessage,
}

fn looks_like(kind: Option<&str>) -> String {
    kind.map_or_else(String::new, |kind| format!(" (it begins like {kind})"))
}

/// The first bytes of other images that people have.
const OTHERS: [(&[u8], &str); 4] =
    [(b"\x89PNG", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF"), (b"RIFF", "WebP")];
/// Brands of images that are coded with HEVC (ISO/IEC 23008-12, annex B), and of images in general, whose files name one
/// of them as well.
const BRANDS: [&[u8; 4]; 10] =
    [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"];

/// Looks at the first box of the file (`ftyp`), which names its brand.
fn check_icon(image: &[u8]) -> Result<(), IdentityError> {
    let is_heic = image.get(4..8) == Some(b"ftyp")
        && image.get(8..12).is_some_and(|brand| BRANDS.iter().any(|known| *known == brand));
    if is_heic {
        return Ok(());
    }
    let other = OTHERS.iter().find(|(start, _)| image.starts_with(start));
    Err(IdentityError::NotHeic(other.map(|(_, name)| *name)))
}

impl Identity {
    /// A caller with this name.
    ///
    /// # Errors
    /// [`IdentityError::NoName`], [`IdentityError::Control`] and [`IdentityError::TooLarge`].
    pub fn new(name: &str) -> Result<Self, IdentityError> {
        if name.is_empty() {
            return Err(IdentityError::NoName);
        }
        if name.contains(char::is_control) {
            return Err(IdentityError::Control);
        }
        Self(CallIdentity { name: name.to_owned(), ..CallIdentity::default() }).checked()
    }

    fn checked(self) -> Result<Self, IdentityError> {
        match self.0.encoded_len() {
            length if length > MAX_IDENTITY => Err(IdentityError::TooLarge(length)),
            _ => Ok(self),
        }
    }

    /// Shows an icon: the content of a HEIC file. Small ones make lookups faster for everyone, because all replies have
    /// the size of the largest.
    ///
    /// # Errors
    /// [`IdentityError::NotHeic`] and [`IdentityError::TooLarge`].
    pub fn with_icon(mut self, image: Vec<u8>) -> Result<Self, IdentityError> {
        check_icon(&image)?;
        self.0.icon = Some(Icon { format: ImageFormat::Heic.into(), image });
        self.checked()
    }

    /// Says what kind of caller it is.
    ///
    /// # Errors
    /// [`IdentityError::TooLarge`].
    pub fn with_category(mut self, category: Category) -> Result<Self, IdentityError> {
        let category = match category {
            Category::Unspecified => IdentityCategory::Unspecified,
            Category::Person => IdentityCategory::Person,
            Category::Business => IdentityCategory::Business,
        };
        self.0.category = category.into();
        self.checked()
    }

    /// Sets for how many minutes devices reuse the answer before they ask again. 0 leaves it to them.
    ///
    /// # Errors
    /// [`IdentityError::TooLarge`].
    pub fn with_cache_minutes(mut self, minutes: u32) -> Result<Self, IdentityError> {
        self.0.cache_expiry_minutes = minutes;
        self.checked()
    }

    /// The name that devices show: not empty in those of [`new`](Self::new), and without control characters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The icon: the content of a HEIC file.
    #[must_use]
    pub fn icon(&self) -> Option<&[u8]> {
        self.0.icon.as_ref().map(|icon| icon.image.as_slice())
    }

    /// The category; [`Category::Unspecified`] for one that this version does not know.
    #[must_use]
    pub fn category(&self) -> Category {
        match self.0.category() {
            IdentityCategory::Unspecified => Category::Unspecified,
            IdentityCategory::Person => Category::Person,
            IdentityCategory::Business => Category::Business,
        }
    }

    /// For how many minutes devices reuse the answer; 0 if it is not said.
    #[must_use]
    pub fn cache_minutes(&self) -> u32 {
        self.0.cache_expiry_minutes
    }

    /// The value in the data set: the serialised message `CallIdentity`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    /// Reads a value of the data set, as a device does.
    ///
    /// # Errors
    /// [`IdentityError::TooLarge`] and [`IdentityError::NotAMessage`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        if bytes.len() > MAX_IDENTITY {
            return Err(IdentityError::TooLarge(bytes.len()));
        }
        CallIdentity::decode(bytes).map(Self).map_err(|_| IdentityError::NotAMessage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The beginning of a HEIC file, and as many bytes behind it.
    fn heic(length: usize) -> Vec<u8> {
        let mut image = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec();
        image.resize(length, 7);
        image
    }

    /// Written by hand from the schema.
    #[test]
    fn the_bytes_are_those_of_the_schema() {
        let identity = Identity::new("Adam").unwrap().with_category(Category::Person).unwrap();
        let identity = identity.with_cache_minutes(300).unwrap();
        assert_eq!(identity.to_bytes(), b"\x0a\x04Adam\x18\xac\x02\x20\x01");
        let identity = Identity::new("B").unwrap().with_icon(heic(24)).unwrap();
        let expected = [&b"\x0a\x01B\x12\x1c\x08\x01\x12\x18"[..], &heic(24)].concat();
        assert_eq!(identity.to_bytes(), expected);
        assert_eq!(Identity::new("C").unwrap().to_bytes(), b"\x0a\x01C");
    }

    #[test]
    fn an_identity_has_at_most_the_largest_value() {
        let overhead =
            Identity::new("B").unwrap().with_icon(heic(40_000)).unwrap().to_bytes().len() - 40_000;
        for length in [MAX_IDENTITY - 1, MAX_IDENTITY, MAX_IDENTITY + 1] {
            let made = Identity::new("B").unwrap().with_icon(heic(length - overhead));
            match made {
                Ok(identity) => {
                    assert_eq!(identity.to_bytes().len(), length);
                    assert!(length <= MAX_IDENTITY);
                    assert_eq!(Identity::from_bytes(&identity.to_bytes()), Ok(identity));
                }
                Err(error) => assert_eq!(error, IdentityError::TooLarge(MAX_IDENTITY + 1)),
            }
        }
        let with_icon =
            Identity::new("B").unwrap().with_icon(heic(MAX_IDENTITY - overhead)).unwrap();
        assert!(with_icon.clone().with_cache_minutes(1).is_err());
        assert!(with_icon.with_category(Category::Business).is_err());
        assert!(Identity::new(&"a".repeat(MAX_IDENTITY)).is_err());
    }

    #[test]
    fn names_can_be_shown() {
        for (name, error) in [("", IdentityError::NoName), ("a\nb", IdentityError::Control)] {
            assert_eq!(Identity::new(name).unwrap_err(), error);
        }
        assert_eq!(
            Identity::new("J\u{f6}rg & S\u{f6}hne").unwrap().name(),
            "J\u{f6}rg & S\u{f6}hne"
        );
    }

    #[test]
    fn other_images_are_refused_by_name() {
        for (image, kind) in [
            (&b"\x89PNG\r\n\x1a\n"[..], Some("PNG")),
            (b"\xff\xd8\xff\xe0", Some("JPEG")),
            (b"", None),
            (b"\0\0\0\x18ftypavif", None),
            (b"\0\0\0\x18ftyp", None),
        ] {
            let error = Identity::new("B").unwrap().with_icon(image.to_vec()).unwrap_err();
            assert_eq!(error, IdentityError::NotHeic(kind));
        }
    }

    #[test]
    fn categories_of_the_future_are_read_as_unspecified() {
        let read = Identity::from_bytes(b"\x0a\x01C\x20\x09").unwrap();
        assert_eq!((read.name(), read.category()), ("C", Category::Unspecified));
        assert_eq!(Identity::from_bytes(b"\x0a\x05C"), Err(IdentityError::NotAMessage));
    }

    proptest! {
        #[test]
        fn an_identity_is_read_as_it_was_written(name in "[^\\pC]{1,40}", minutes: u32, category in 0..3_usize) {
            let category = [Category::Unspecified, Category::Person, Category::Business][category];
            let identity = Identity::new(&name).unwrap().with_cache_minutes(minutes).unwrap();
            let identity = identity.with_category(category).unwrap();
            let read = Identity::from_bytes(&identity.to_bytes()).unwrap();
            prop_assert_eq!((read.name(), read.cache_minutes(), read.category()), (&*name, minutes, category));
            prop_assert_eq!(read, identity);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Identity::from_bytes(&bytes);
        }
    }
}
