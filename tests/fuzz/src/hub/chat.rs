//! What a gateway tells the loop of the hub, as `adapters/src/hub/chat.rs` has it.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Whole,
    Busy,
    Bad,
}

#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) used: usize,
    pub(super) state: State,
    #[expect(dead_code, reason = "there is no clock here that it would set")]
    pub(super) is_new: bool,
    pub(super) is_between: bool,
}
