//! Opaque cursors: base64url of what the backend needs to go on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ordermill_core::id::{CustomerId, OrderId, ProductId, RecordId};
use ordermill_ports::Position;

/// What can be packed into a cursor.
pub(crate) trait Cursor: Sized {
    /// Names the kind, so that a cursor of one list is refused by another.
    const KIND: u8;
    /// The bytes inside.
    fn pack(&self) -> Vec<u8>;
    /// Reads the bytes back.
    fn unpack(bytes: &[u8]) -> Option<Self>;

    /// The cursor's text.
    fn encode(&self) -> String {
        let mut bytes = self.pack();
        bytes.insert(0, Self::KIND);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor's text; `None` when it is none of this kind.
    fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (kind, rest) = bytes.split_first()?;
        if *kind == Self::KIND { Self::unpack(rest) } else { None }
    }
}

macro_rules! id_cursors {
    (uuid: $($uuid:ty = $uuid_kind:literal),*; text: $($text:ty = $text_kind:literal),*;) => {
        $(impl Cursor for $uuid {
            const KIND: u8 = $uuid_kind;

            fn pack(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }

            fn unpack(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_bytes)
            }
        })*

        $(impl Cursor for $text {
            const KIND: u8 = $text_kind;

            fn pack(&self) -> Vec<u8> {
                self.as_str().as_bytes().to_vec()
            }

            fn unpack(bytes: &[u8]) -> Option<Self> {
                Self::new(std::str::from_utf8(bytes).ok()?).ok()
            }
        })*
    };
}

id_cursors! {
    uuid: OrderId = b'o', RecordId = b'r';
    text: ProductId = b'p', CustomerId = b'c';
}

impl Cursor for Position {
    const KIND: u8 = b'e';

    fn pack(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn unpack(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u64::from_be_bytes).map(Self)
    }
}

/// A dead letter's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeadLetterId(pub u64);

impl Cursor for DeadLetterId {
    const KIND: u8 = b'd';

    fn pack(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn unpack(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u64::from_be_bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_are_not_mixed_up() {
        let product = ProductId::new("Stuhl/blau ü").expect("it is an id");
        assert_eq!(ProductId::decode(&product.encode()), Some(product.clone()));
        assert_eq!(Position::decode(&Position(u64::MAX).encode()), Some(Position(u64::MAX)));
        assert_eq!(DeadLetterId::decode(&Position(7).encode()), None);
        assert_eq!(OrderId::decode(&product.encode()), None);
        assert_eq!(CustomerId::decode(&product.encode()), None);
        let record = RecordId::from_bytes([7; 16]);
        assert_eq!(RecordId::decode(&record.encode()), Some(record));
        assert_eq!(OrderId::decode(&record.encode()), None);
        for bad in ["", "!", "AAAA", "b"] {
            assert_eq!(OrderId::decode(bad), None, "{bad:?}");
        }
    }
}
