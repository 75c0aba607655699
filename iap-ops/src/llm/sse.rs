//! Server-sent events as they come in pieces (WHATWG HTML, section 9.2).

/// Finds the data of events in a stream of bytes. What it keeps is bounded by whoever counts the bytes.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    data: String,
    /// Whether the last byte was a carriage return, so that a line feed after it ends no other line.
    after_return: bool,
}

impl Events {
    /// Takes bytes, and gives the data of the events that end in them.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for &byte in bytes {
            let second = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if second => {}
                b'\n' | b'\r' => found.extend(self.end_line()),
                _ => self.line.push(byte),
            }
        }
        found
    }

    fn end_line(&mut self) -> Option<String> {
        if self.line.is_empty() {
            return (!self.data.is_empty()).then(|| std::mem::take(&mut self.data));
        }
        let line = String::from_utf8_lossy(&self.line);
        if let Some(data) = line.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
        }
        self.line.clear();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Events;

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let stream = ": hello\r\nevent: x\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata: 한\n\n\n\rdata:b\r\r";
        for size in 1..stream.len() {
            let mut events = Events::default();
            let found: Vec<_> = stream.as_bytes().chunks(size).flat_map(|part| events.feed(part)).collect();
            assert_eq!(found, ["{\"a\":\n1}", "한", "b"], "in parts of {size}");
        }
    }
}
