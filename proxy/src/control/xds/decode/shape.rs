//! Which fields of each message this proxy understands.
//!
//! Generated decoders skip what they do not know and give us hundreds of fields that we do not obey. A resource that
//! sets one of either is refused as a whole: to enforce it in part would be to enforce something else. So each message
//! is held against a table of its understood fields, on the wire, where nothing has been skipped yet.

use prost::{
    bytes::Buf,
    encoding::{WireType, decode_key, decode_varint},
};

use super::fault::Fault;

/// The fields of a message that this proxy understands.
pub struct Shape(pub &'static [Field]);

/// An understood field.
pub struct Field {
    /// Its number on the wire.
    pub number: u32,
    /// Its name in the .proto file.
    pub name: &'static str,
    /// What is inside, if that is a message. None for plain values, and for a google.protobuf.Any: what that holds is
    /// held against its own table where it is opened.
    pub inside: Option<&'static Shape>,
}

/// A field that is a plain value or an Any.
pub const fn value(number: u32, name: &'static str) -> Field {
    Field { number, name, inside: None }
}

/// A field that is a message.
pub const fn message(number: u32, name: &'static str, inside: &'static Shape) -> Field {
    Field { number, name, inside: Some(inside) }
}

/// A message of which only the presence is understood.
pub static EMPTY: Shape = Shape(&[]);

/// `google.protobuf.BoolValue` and `UInt32Value`.
pub static WRAPPER: Shape = Shape(&[value(1, "value")]);

/// google.protobuf.Duration.
pub static DURATION: Shape = Shape(&[value(1, "seconds"), value(2, "nanos")]);

impl Shape {
    /// Refuses a message that sets a field which is not in the table. It must have been decoded before: that bounds
    /// its depth.
    pub fn check(&self, mut bytes: &[u8]) -> Result<(), Fault> {
        let mut seen = [0_usize; 64];
        while bytes.has_remaining() {
            let (number, wire_type) = decode_key(&mut bytes).map_err(|_| malformed())?;
            let content = content(wire_type, &mut bytes)?;
            let Some(index) = self.0.iter().position(|field| field.number == number) else {
                return Err(Fault::new(format!("sets field {number}, which this proxy does not understand")));
            };
            let field = &self.0[index];
            let Some(inside) = field.inside else { continue };
            let content = content.ok_or_else(malformed)?;
            let count = seen[index];
            seen[index] += 1;
            inside.check(content).map_err(|fault| match count {
                0 => fault.within(field.name),
                _ => fault.within(&format!("{}[{count}]", field.name)),
            })?;
        }
        Ok(())
    }
}

fn malformed() -> Fault {
    Fault::new("is not well-formed")
}

/// Steps over one field and gives what is in it, if it is of the kind that can hold a message.
fn content<'a>(wire_type: WireType, bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
    let length = match wire_type {
        WireType::Varint => {
            decode_varint(bytes).map_err(|_| malformed())?;
            return Ok(None);
        }
        WireType::ThirtyTwoBit => 4,
        WireType::SixtyFourBit => 8,
        WireType::LengthDelimited => {
            usize::try_from(decode_varint(bytes).map_err(|_| malformed())?).map_err(|_| malformed())?
        }
        WireType::StartGroup | WireType::EndGroup => return Err(malformed()),
    };
    let (content, rest) = bytes.split_at_checked(length).ok_or_else(malformed)?;
    *bytes = rest;
    Ok((wire_type == WireType::LengthDelimited).then_some(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    static INNER: Shape = Shape(&[value(1, "name")]);
    static OUTER: Shape = Shape(&[value(1, "name"), message(2, "parts", &INNER)]);

    #[test]
    fn passes_what_is_in_the_table() {
        assert_eq!(OUTER.check(&[]), Ok(()));
        assert_eq!(OUTER.check(&[0x0a, 1, b'a', 0x12, 3, 0x0a, 1, b'b', 0x12, 0]), Ok(()));
    }

    #[test]
    fn names_the_place_of_what_is_not() {
        let says = |bytes: &[u8]| OUTER.check(bytes).unwrap_err().to_string();
        assert_eq!(says(&[0x18, 1]), "sets field 3, which this proxy does not understand");
        assert_eq!(says(&[0x12, 2, 0x10, 1]), "parts: sets field 2, which this proxy does not understand");
        assert_eq!(says(&[0x12, 0, 0x12, 2, 0x10, 1]), "parts[1]: sets field 2, which this proxy does not understand");
    }

    #[test]
    fn refuses_what_is_cut_off() {
        for bytes in [&[0x0a][..], &[0x0a, 2, 1], &[0x12, 2, 0x0a, 5], &[0x0b], &[0xff], &[0x10, 1]] {
            assert!(OUTER.check(bytes).unwrap_err().to_string().contains("not well-formed"), "{bytes:?}");
        }
    }
}
