//! The answering side.

/// How a [`Responder`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mode<'t> {
    /// Each read comes back as it is.
    Verbatim,
    /// Each read comes back behind this text.
    Prefixed(&'t [u8]),
    /// The first read, whatever it holds, is answered with this text, and the connection ends.
    Greeting(&'t [u8]),
}

/// What to send for one read: two pieces, in this order, that borrow and copy nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reply<'r> {
    /// What goes first; may be empty.
    pub prefix: &'r [u8],
    /// What goes second; may be empty.
    pub body: &'r [u8],
    /// Whether the connection ends once both are sent.
    pub close: bool,
}

/// Answers reads of one connection, or single datagrams.
///
/// Any bytes are an answerable read, so there are no errors.
///
/// ```
/// use halloo_core::echo::{Mode, Responder};
/// let mut responder = Responder::new(Mode::Prefixed(b"Echo: "));
/// let reply = responder.handle_bytes(b"hi").unwrap();
/// assert_eq!((reply.prefix, reply.body, reply.close), (&b"Echo: "[..], &b"hi"[..], false));
/// ```
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Responder<'t> {
    state: State<'t>,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State<'t> {
    Echoing { prefix: &'t [u8] },
    ToGreet { text: &'t [u8] },
    Greeted,
}

impl<'t> Responder<'t> {
    /// A responder for a new connection.
    #[must_use]
    pub const fn new(mode: Mode<'t>) -> Self {
        let state = match mode {
            Mode::Verbatim => State::Echoing { prefix: &[] },
            Mode::Prefixed(prefix) => State::Echoing { prefix },
            Mode::Greeting(text) => State::ToGreet { text },
        };
        Self { state }
    }

    /// What to send for one read or datagram; `None` once the greeting was given: send nothing more
    /// and close.
    ///
    /// An empty datagram has a reply, which may be an empty datagram. An empty read from a stream
    /// is its end, and of those only one that is to be greeted has a place here. Work: constant.
    #[must_use]
    pub fn handle_bytes<'r>(&mut self, read: &'r [u8]) -> Option<Reply<'r>>
    where
        't: 'r,
    {
        match self.state {
            State::Echoing { prefix } => Some(Reply {
                prefix,
                body: read,
                close: false,
            }),
            State::ToGreet { text } => {
                self.state = State::Greeted;
                Some(Reply {
                    prefix: text,
                    body: &[],
                    close: true,
                })
            }
            State::Greeted => None,
        }
    }
}

impl Reply<'_> {
    /// How many bytes both pieces have.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.prefix.len().saturating_add(self.body.len())
    }

    /// Whether both pieces are empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.prefix.is_empty() && self.body.is_empty()
    }

    /// What is left to send after the first `sent` bytes, for writes that are cut short.
    #[must_use]
    pub fn after(self, sent: usize) -> Self {
        let of_body = sent.saturating_sub(self.prefix.len());
        Self {
            prefix: self.prefix.get(sent..).unwrap_or_default(),
            body: self.body.get(of_body..).unwrap_or_default(),
            close: self.close,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reply: Option<Reply<'_>>, expected: &[u8], close: bool) {
        let reply = reply.unwrap();
        assert_eq!([reply.prefix, reply.body].concat(), expected);
        assert_eq!((reply.len(), reply.close), (expected.len(), close));
    }

    #[test]
    fn a_read_comes_back_as_it_is() {
        let mut responder = Responder::new(Mode::Verbatim);
        check(responder.handle_bytes(b"one"), b"one", false);
        check(responder.handle_bytes(b"\0\xff"), b"\0\xff", false);
        check(responder.handle_bytes(b""), b"", false);
    }

    #[test]
    fn each_read_comes_back_behind_the_prefix() {
        let mut responder = Responder::new(Mode::Prefixed(b"Echo: "));
        check(responder.handle_bytes(b"one"), b"Echo: one", false);
        check(responder.handle_bytes(b"two"), b"Echo: two", false);
        check(responder.handle_bytes(b""), b"Echo: ", false);
    }

    #[test]
    fn the_first_read_is_greeted_and_ends_the_connection() {
        let mut responder = Responder::new(Mode::Greeting(b"Hello, client!"));
        check(responder.handle_bytes(b"GET /"), b"Hello, client!", true);
        assert_eq!(responder.handle_bytes(b"more"), None);
        assert_eq!(responder.handle_bytes(b""), None);
    }

    #[test]
    fn a_reply_outlives_its_responder() {
        let read = *b"kept";
        let reply = {
            let mut responder = Responder::new(Mode::Prefixed(b"p:"));
            responder.handle_bytes(&read)
        };
        check(reply, b"p:kept", false);
    }

    #[test]
    fn a_reply_goes_on_after_any_short_write() {
        let mut responder = Responder::new(Mode::Prefixed(b"Echo: "));
        let reply = responder.handle_bytes(b"hello").unwrap();
        let whole = b"Echo: hello";
        for sent in 0..=whole.len() + 2 {
            let rest = whole.get(sent..).unwrap_or_default();
            check(Some(reply.after(sent)), rest, false);
            assert_eq!(reply.after(sent).is_empty(), rest.is_empty());
        }
    }
}
