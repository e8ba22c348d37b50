//! How large everything is: usual sizes, and sizes so small that everything is always full.

use super::pipe::Shape;
use super::rng::Rng;
use halloo_core::chat::hub::{self, Conn, Member, Pending, Room, Storage};
use halloo_core::chat::log::IndexSlot;

/// The bytes of each post of a fleet.
pub(super) const FLEET_BODY: usize = 32;

/// The sizes of one run.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Devices.
    pub devices: usize,
    /// Rooms of the hub.
    pub rooms: usize,
    /// Connections of the hub.
    pub conns: usize,
    /// Members of the hub.
    pub members: usize,
    /// Bytes of each room's log.
    pub log_bytes: usize,
    /// Entries of each room's log.
    pub index: usize,
    /// Posts whose commit may wait.
    pub pending: usize,
    /// Posts without verdict of a device in a room.
    pub window: u16,
    /// The largest body.
    pub max_body: u16,
    /// Bytes of one run.
    pub run_bytes: usize,
    /// Entries beyond its cursor that a device takes.
    pub credit: u16,
    /// A device's outbox holds a single post.
    pub is_outbox_tiny: bool,
    /// The largest frame of a device.
    pub max_frame: u32,
    /// The keepalive that devices want, in seconds.
    pub keepalive: u16,
    /// What the links are like.
    pub shape: Shape,
    /// The hub keeps its posts in a journal on a disk, and not in its memory alone.
    pub is_on_disk: bool,
    /// Bytes of a segment of the journal.
    pub segment_bytes: u64,
    /// Entries of each room that the journal keeps at least; `None` keeps all.
    pub retention: Option<u64>,
    /// For how many seconds the journal keeps entries at least; `None` is no limit.
    pub retention_age: Option<u64>,
    /// Devices are as firmware has them: one room each, and posts at a pace.
    pub is_fleet: bool,
    /// Microseconds between two posts of a device of a fleet.
    pub pace: u64,
    /// The members of each room of a fleet.
    pub per_room: usize,
    /// Of a thousand devices, so many speak over datagrams.
    pub datagram_share: u64,
}

impl Limits {
    /// Sizes in which nothing is scarce.
    pub const fn usual(devices: usize) -> Self {
        Self {
            devices,
            rooms: 4,
            conns: devices * 3 + 2,
            members: devices * 4 + 2,
            log_bytes: 16 * 1024,
            index: 256,
            pending: 64,
            window: 32,
            max_body: 256,
            run_bytes: 4096,
            credit: 64,
            is_outbox_tiny: false,
            max_frame: 512,
            keepalive: 20,
            shape: Shape {
                capacity: 4096,
                delay: 1000,
                jitter: 0,
                per_byte: 0,
                is_short: false,
            },
            is_on_disk: false,
            segment_bytes: 64 * 1024,
            retention: None,
            retention_age: None,
            is_fleet: false,
            pace: 10_000_000,
            per_room: 10,
            datagram_share: 0,
        }
    }

    /// Many devices, so many to a room, with the buffers of a sensor.
    pub const fn fleet(devices: usize, per_room: usize) -> Self {
        let mut limits = Self::usual(devices);
        limits.is_fleet = true;
        limits.per_room = per_room;
        limits.rooms = devices.div_ceil(per_room);
        limits.conns = devices + devices / 8 + 8;
        limits.members = devices + 8;
        limits.log_bytes = 1024;
        limits.index = 16;
        limits.pending = 4096;
        limits.max_body = 64;
        limits.credit = 16;
        limits.max_frame = 200;
        limits.keepalive = 60;
        limits.shape.delay = 20_000;
        limits.shape.jitter = 10_000;
        limits.segment_bytes = 1024 * 1024;
        limits.retention = Some(32);
        limits
    }

    /// How many rooms a device can be in.
    pub const fn device_rooms(&self) -> usize {
        if self.is_fleet { 1 } else { 3 }
    }

    /// Each size usual or tiny, as chance has it.
    pub fn random(rng: &mut Rng) -> Self {
        let devices = rng.within(1, 5) as usize;
        let mut limits = Self::usual(devices);
        limits.rooms = rng.within(1, 4) as usize;
        limits.conns = rng.pick(&[devices, devices + 1, devices * 3 + 2]);
        if rng.chance(150) {
            limits.members = rng.within(1, devices as u64 * 2) as usize;
        }
        limits.log_bytes = rng.pick(&[120, 2048, 2048, 16 * 1024]);
        limits.index = rng.pick(&[1, 4, 7, 64, 256]);
        limits.pending = rng.pick(&[1, 1, 2, 5, 64]);
        limits.window = rng.pick(&[1, 1, 2, 4, 32]);
        limits.max_body = rng.pick(&[16, 40, 256]);
        limits.run_bytes = rng.pick(&[1, 100, 4096]);
        limits.credit = rng.pick(&[1, 1, 2, 3, 8, 64]);
        limits.is_outbox_tiny = rng.chance(200);
        limits.max_frame = rng.pick(&[160, 160, 512]);
        limits.keepalive = rng.pick(&[0, 2, 5, 20, 60]);
        limits.shape.capacity = rng.pick(&[1, 7, 64, 300, 4096]);
        limits.is_on_disk = rng.chance(500);
        limits.segment_bytes = rng.pick(&[400, 2000, 16 * 1024]);
        limits.retention = rng.pick(&[None, Some(1), Some(20)]);
        limits.retention_age = rng.pick(&[None, None, Some(30)]);
        limits.datagram_share = rng.pick(&[0, 300, 500, 1000]);
        limits
    }

    /// Every size tiny, but for those that decide who gets in at all: with room for everybody, or
    /// for one device alone.
    pub fn tiny(rng: &mut Rng) -> Self {
        let mut limits = Self::random(rng);
        limits.conns = rng.pick(&[limits.devices, limits.devices + 1]);
        limits.members = rng.pick(&[1, 2, limits.devices, limits.devices * 4]);
        limits.rooms = rng.pick(&[1, 2]);
        limits.log_bytes = rng.pick(&[40, 60, 120]);
        limits.index = rng.pick(&[1, 2]);
        limits.pending = 1;
        limits.window = 1;
        limits.run_bytes = 1;
        limits.credit = 1;
        limits.is_outbox_tiny = true;
        limits.max_frame = 160;
        limits.shape.capacity = rng.pick(&[1, 2, 64]);
        limits
    }

    /// What the hub is told.
    pub const fn config(&self, seed: u64, store: u64, generation: u32) -> hub::Config {
        let mut config = hub::Config::new(seed, [seed as u32; 4], store);
        config.generation = generation;
        config.window = self.window;
        config.max_body = self.max_body;
        config.run_bytes = self.run_bytes;
        config
    }
}

/// The memory of one life of a hub.
#[derive(Debug)]
pub struct HubMemory {
    conns: Vec<Conn>,
    members: Vec<Member>,
    rooms: Vec<Room>,
    bytes: Vec<u8>,
    index: Vec<IndexSlot>,
    pending: Vec<Pending>,
    lineage: Vec<u32>,
}

impl HubMemory {
    /// Fresh memory.
    pub fn new(limits: &Limits) -> Self {
        Self {
            conns: vec![Conn::FREE; limits.conns],
            members: vec![Member::FREE; limits.members],
            rooms: vec![Room::FREE; limits.rooms],
            bytes: vec![0; limits.log_bytes * limits.rooms],
            index: vec![[0; 4]; limits.index * limits.rooms],
            pending: vec![Pending::FREE; limits.pending],
            lineage: Vec::new(),
        }
    }

    /// The memory, lent to a hub.
    pub fn storage(&mut self) -> Storage<'_> {
        self.storage_of(&[]).0
    }

    /// As `storage`, with the generations that the hub's store had before.
    pub fn storage_of(&mut self, lineage: &[u32]) -> (Storage<'_>, &[u32]) {
        self.lineage = lineage.to_vec();
        let storage = Storage {
            conns: &mut self.conns,
            members: &mut self.members,
            rooms: &mut self.rooms,
            bytes: &mut self.bytes,
            index: &mut self.index,
            pending: &mut self.pending,
        };
        (storage, &self.lineage)
    }
}
