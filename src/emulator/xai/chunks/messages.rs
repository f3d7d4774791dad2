//! Takes a stream of JSON objects apart: one, several behind each other, or an array of them.

use super::super::gateway::MOST;
use super::super::refusal::Refusal;

/// What has arrived of the message that is arriving.
#[derive(Default)]
pub(super) struct Messages {
    message: Vec<u8>,
    /// Open braces and brackets of the message.
    depth: u32,
    in_text: bool,
    escaped: bool,
}

impl Messages {
    /// The next message of a piece, which is shortened by what was read of it; None at its end.
    pub(super) fn next(&mut self, piece: &mut &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        if self.is_between() {
            let between = |byte: &u8| byte.is_ascii_whitespace() || b",[]".contains(byte);
            let start = piece.iter().position(|byte| !between(byte)).unwrap_or(piece.len());
            *piece = &piece[start..];
            if piece.first().is_some_and(|byte| *byte != b'{') {
                return Err(Refusal::invalid("The stream must consist of JSON objects"));
            }
        }
        let end = self.end(piece);
        let taken = end.unwrap_or(piece.len());
        if self.message.len() + taken > MOST {
            return Err(Refusal::invalid("A message is too large"));
        }
        self.message.extend_from_slice(&piece[..taken]);
        *piece = &piece[taken..];
        Ok(end.map(|_| std::mem::take(&mut self.message)))
    }

    /// Whether no message has begun that has not ended.
    pub(super) fn is_between(&self) -> bool {
        self.message.is_empty()
    }

    /// Where the message ends, if it does.
    fn end(&mut self, piece: &[u8]) -> Option<usize> {
        for (at, byte) in piece.iter().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &str, piece: usize) -> Result<(Vec<String>, bool), Refusal> {
        let mut messages = Messages::default();
        let mut read = Vec::new();
        for mut piece in stream.as_bytes().chunks(piece) {
            while let Some(message) = messages.next(&mut piece)? {
                read.push(String::from_utf8(message).unwrap());
            }
        }
        Ok((read, messages.is_between()))
    }

    #[test]
    fn messages_are_the_same_however_the_stream_is_cut() {
        let a = r#"{"a":"}{\"[","b":{"c":[1,{}]}}"#;
        let streams = [format!("{a}{{}}{a}"), format!("{a}\n{{}}\r\n{a}\n"), format!("[{a}, {{}},\n{a}]")];
        for stream in streams {
            for piece in 1..=stream.len() {
                let (messages, whole) = read(&stream, piece).unwrap();
                assert_eq!(messages, [a, "{}", a], "{stream} in pieces of {piece}");
                assert!(whole);
            }
        }
    }

    #[test]
    fn what_is_not_whole_or_no_object_is_told() {
        assert!(!read(r#"{"a":1"#, 3).unwrap().1);
        assert!(read(" \n", 1).unwrap().1);
        assert!(read("{} 1", 9).is_err() && read("chunk", 9).is_err());
    }
}
