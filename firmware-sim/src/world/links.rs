//! All connections, found by their keys in constant time.

use super::link::Link;
use std::ops::Index;

/// The bits of a key that say where the connection lies; those above count connections.
const PLACE: u64 = (1 << 24) - 1;

/// All connections. A key is never used again, and a later connection has a greater one.
#[derive(Debug, Default)]
pub(super) struct Links {
    places: Vec<Option<(u64, Box<Link>)>>,
    free: Vec<u64>,
    count: u64,
}

/// Where a thing with this key or number lies in a table.
pub(super) fn place(key: u64) -> usize {
    (key & PLACE) as usize
}

impl Links {
    pub(super) fn insert(&mut self, link: Link) -> u64 {
        let at = self.free.pop().unwrap_or(self.places.len() as u64);
        self.count += 1;
        let key = self.count << 24 | at;
        let entry = Some((key, Box::new(link)));
        match self.places.get_mut(place(key)) {
            Some(place) => *place = entry,
            None => self.places.push(entry),
        }
        key
    }

    pub(super) fn get(&self, key: &u64) -> Option<&Link> {
        let entry = self.places.get(place(*key))?.as_ref()?;
        (entry.0 == *key).then_some(&entry.1)
    }

    pub(super) fn get_mut(&mut self, key: &u64) -> Option<&mut Link> {
        let entry = self.places.get_mut(place(*key))?.as_mut()?;
        (entry.0 == *key).then_some(&mut entry.1)
    }

    pub(super) fn remove(&mut self, key: &u64) {
        if self.get(key).is_some() {
            self.places[place(*key)] = None;
            self.free.push(*key & PLACE);
        }
    }

    /// Removes the sessions over datagrams, which end with the hub.
    pub(super) fn remove_sessions(&mut self) {
        let keys: Vec<u64> = self.keys().filter(|key| self[key].is_datagrams).collect();
        keys.iter().for_each(|key| self.remove(key));
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = u64> {
        self.places.iter().flatten().map(|(key, _)| *key)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        let entries = self.places.iter_mut().flatten();
        entries.map(|(_, link)| &mut **link)
    }
}

impl Index<&u64> for Links {
    type Output = Link;

    fn index(&self, key: &u64) -> &Link {
        self.get(key).expect("the connection is there")
    }
}
