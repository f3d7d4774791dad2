//! Uploads of the same name take turns, so that a file that arrived without an answer cannot be taken for another's.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The names that are on their way.
#[derive(Default)]
pub(super) struct Turns {
    busy: Mutex<HashSet<String>>,
    freed: Notify,
}

/// Some names held; free again when this is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    names: HashSet<String>,
}

impl Turns {
    /// Waits until none of the names is held, then holds them all.
    pub(super) async fn take(&self, names: HashSet<String>) -> Turn<'_> {
        loop {
            // Made before the look, so that a name freed in between is heard of.
            let freed = self.freed.notified();
            if self.try_take(&names) {
                return Turn { turns: self, names };
            }
            freed.await;
        }
    }

    fn try_take(&self, names: &HashSet<String>) -> bool {
        let mut busy = self.busy();
        let free = names.is_disjoint(&busy);
        if free {
            busy.extend(names.iter().cloned());
        }
        free
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut busy = self.turns.busy();
        for name in &self.names {
            busy.remove(name);
        }
        self.turns.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_held_by_one_at_a_time() {
        let turns = Turns::default();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<HashSet<_>>();
        let first = turns.take(names(&["a", "b"])).await;
        turns.take(names(&["c"])).await;
        let mut second = std::pin::pin!(turns.take(names(&["b", "c"])));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        assert!(futures_util::poll!(second.as_mut()).is_ready());
    }
}
