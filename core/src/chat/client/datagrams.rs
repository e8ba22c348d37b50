//! What comes in datagrams: of this session, newer than all before it, and a message.

use super::{Delivery, Parts, State};
use crate::chat::datagram::Header;
use crate::time::Instant;
use crate::wire::{self, Message};

impl Parts<'_> {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn handle_datagram<'m>(
        &mut self,
        now: Instant,
        datagram: &'m [u8],
    ) -> Option<Delivery<'m>> {
        let decoded = Header::decode(datagram)
            .filter(|(header, _)| header.session == self.base.tag)
            .and_then(|(header, message)| {
                Some((header, wire::binary::decode_from_hub(message).ok()?))
            });
        let (Some(path), Some((header, decoded))) = (self.base.path.as_mut(), decoded) else {
            self.skip();
            return None;
        };
        match (&mut self.base.state, &decoded.message) {
            (State::Greeting { said, cookie, .. }, Message::Retry { cookie: wanted }) => {
                // The first is answered at once. What another one wants goes with the next `Hello`,
                // when that is due: a hub that is never content is not asked ever faster.
                if cookie.replace(*wanted).is_none() {
                    *said = false;
                    path.stop();
                }
                return None;
            }
            (_, Message::Retry { .. }) => {
                self.skip();
                return None;
            }
            _ => {}
        }
        let now = self.base.now.max(now);
        if !path.take(now, &header) {
            self.skip();
            return None;
        }
        self.handle_message(now, &decoded.message)
    }
}
