//! Reads of what comes on a connection of HTTP/2 as much as it takes to know which bodies its bytes belong to: the heads of
//! frames (RFC 9113 §4.1), and nothing else.

/// The length of a frame's head.
const HEAD: usize = 9;

const DATA: u8 = 0x0;
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;

/// Where in the frames a connection is.
#[derive(Debug)]
pub struct Frames {
    /// What comes before the first frame, and is still to come.
    before: usize,
    head: [u8; HEAD],
    /// How much of the head has come, and of the length of padding, if there is any.
    have: usize,
    /// How much of the payload is still to come.
    left: usize,
}

/// A frame with a part of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    /// On which stream.
    pub stream: u32,
    /// How long that part is, without what fills it up.
    pub length: usize,
    /// Whether it is the last.
    pub last: bool,
}

impl Frames {
    /// At the beginning of a connection, of which `before` bytes come before the first frame.
    pub fn after(before: usize) -> Self {
        Self { before, head: [0; HEAD], have: 0, left: 0 }
    }

    /// Reads on, and tells of every part of a body that begins to come.
    pub fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(Data)) {
        bytes = &bytes[take(&mut self.before, bytes.len())..];
        while !bytes.is_empty() {
            if self.have < HEAD {
                let count = (HEAD - self.have).min(bytes.len());
                self.head[self.have..self.have + count].copy_from_slice(&bytes[..count]);
                self.have += count;
                bytes = &bytes[count..];
                if self.have == HEAD {
                    self.left = self.length();
                    self.begun(None, &mut each);
                }
                continue;
            }
            if self.is_padded_data() && self.left == self.length() {
                self.begun(Some(bytes[0]), &mut each);
            }
            bytes = &bytes[take(&mut self.left, bytes.len())..];
            if self.left == 0 {
                self.have = 0;
            }
        }
    }

    /// The head of a frame has come, and how much it is filled up, if that is said.
    fn begun(&mut self, padding: Option<u8>, each: &mut impl FnMut(Data)) {
        let (length, flags) = (self.length(), self.head[4]);
        let known = self.head[3] == DATA && (!self.is_padded_data() || padding.is_some());
        if known {
            let [a, b, c, d] = [self.head[5], self.head[6], self.head[7], self.head[8]];
            let stream = u32::from_be_bytes([a & 0x7f, b, c, d]);
            let filling = padding.map_or(0, |padding| 1 + usize::from(padding));
            each(Data { stream, length: length.saturating_sub(filling), last: flags & END_STREAM != 0 });
        }
        if length == 0 {
            self.have = 0;
        }
    }

    fn length(&self) -> usize {
        let [a, b, c, ..] = self.head;
        usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
    }

    fn is_padded_data(&self) -> bool {
        self.head[3] == DATA && self.head[4] & PADDED != 0
    }
}

/// Takes as much of `left` as there is, and says how much that was.
fn take(left: &mut usize, there: usize) -> usize {
    let count = there.min(*left);
    *left -= count;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    #[test]
    fn parts_of_bodies_are_found_however_the_bytes_come() {
        let settings = frame(0x4, 0, 0, &[]);
        let bytes = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            settings.clone(),
            frame(0x1, 0x4, 1, &[0; 30]),
            frame(DATA, 0, 1, &[7; 500]),
            frame(DATA, PADDED | END_STREAM, 3, &[&[4_u8][..], &[1; 10], &[0; 4]].concat()),
            settings,
            frame(DATA, END_STREAM, 1, &[]),
            frame(DATA, PADDED, 5, &[200]),
        ]
        .concat();
        let part = |stream, length, last| Data { stream, length, last };
        let expected = [part(1, 500, false), part(3, 10, true), part(1, 0, true), part(5, 0, false)];
        for size in [1, 2, 7, 8, 9, 10, 100, bytes.len()] {
            let (mut frames, mut found) = (Frames::after(24), Vec::new());
            bytes.chunks(size).for_each(|chunk| frames.read(chunk, |data| found.push(data)));
            assert_eq!(found, expected, "{size} at once");
        }
    }
}
