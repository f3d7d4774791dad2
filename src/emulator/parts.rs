//! Content that arrives in several requests, which several servers with one store may handle. The parts are files in a
//! space separate from the platform's, and expire with their upload.

use std::io;

use jiff::Timestamp;

use super::{Space, ids};
use crate::error::{Error, Result};
use crate::filter::{Comparison, Expr, Filter, Op, Value};
use crate::model::{File, FileId, Object};
use crate::store::{Blob, Incoming, Listing, SortKey};

/// On average, one in this many new uploads removes the notes about ended uploads.
const CLEAN_UP_EVERY: u8 = 32;

/// The parts of one upload.
pub(super) struct UploadParts<'a> {
    space: Space,
    upload: &'a str,
}

impl<'a> UploadParts<'a> {
    /// The parts of the upload `upload`, whose id has no slash.
    pub(super) fn of(space: &Space, upload: &'a str) -> Self {
        Self { space: space.parts(), upload }
    }

    /// Stores a part until `ends`, replacing an earlier one with the same key.
    pub(super) fn put(&self, key: &str, ends: Timestamp, blob: Blob) -> Result<()> {
        let id = self.id(key);
        self.space.transaction(|change| {
            let part = File { id, name: key.to_owned(), expires_at: Some(ends), ..File::default() };
            super::body::store_content(change, part, blob).map(drop)
        })
    }

    /// Stores a part under a new key and returns the key.
    pub(super) fn add(&self, ends: Timestamp, blob: Blob) -> Result<String> {
        let key = ids::base62(32);
        self.put(&key, ends, blob).map(|()| key)
    }

    /// Deletes a part. Parts that remain after a failure expire.
    pub(super) fn discard(&self, key: &str) {
        let _ = self.space.delete(&self.id(key));
    }

    /// The record of a part.
    pub(super) fn part(&self, key: &str) -> Result<File> {
        self.space.stat(&self.id(key))
    }

    /// The records of all parts in the order of their keys, which are their names.
    pub(super) fn all(&self) -> Result<Vec<File>> {
        let bound = |op, end| {
            let value = Value::Text(format!("{}{end}", self.upload));
            Expr::Compare(Comparison { field: "id".to_owned(), op, value })
        };
        // In byte order, `0` immediately follows `/`.
        let expr = Expr::And(vec![bound(Op::Ge, '/'), bound(Op::Lt, '0')]);
        self.space.list(&Listing { filter: Some(Filter { expr }), sort: SortKey::Id, ..Listing::default() })
    }

    /// Appends the content of the parts with these keys to `new`, in this order.
    pub(super) fn combined<'k>(
        &self,
        mut new: Incoming,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<Incoming> {
        for key in keys {
            let (_, part) = self.space.get(&self.id(key))?;
            part.copy_to(&mut new).map_err(|error: io::Error| {
                Error::failed("cannot combine the parts of the upload").caused_by(error)
            })?;
        }
        Ok(new)
    }

    /// Deletes all parts. Parts that remain after a failure expire.
    pub(super) fn remove(&self) {
        let removed = || {
            for part in self.all()? {
                self.space.delete(&part.id)?;
            }
            Ok::<_, Error>(())
        };
        let _ = removed();
    }

    fn id(&self, key: &str) -> FileId {
        FileId(format!("{}/{key}", self.upload))
    }
}

/// Deletes expired files, including parts, and sometimes also the notes of this kind for which `is_over` returns
/// true.
pub(super) fn clean_up(space: &Space, kind: &str, is_over: impl Fn(&Object) -> bool) -> Result<()> {
    space.expire()?;
    if ids::bytes(1).first().is_none_or(|byte| byte % CLEAN_UP_EVERY != 0) {
        return Ok(());
    }
    let over: Vec<_> = space.notes(kind, None)?.into_iter().filter(|(_, note)| is_over(note)).collect();
    if over.is_empty() {
        return Ok(());
    }
    space.freeing(|change| {
        for (key, _) in &over {
            change.forget(kind, key)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use jiff::SignedDuration;

    use super::*;
    use crate::model::{Clock, later};
    use crate::store::{Options, Store};

    fn blob(space: &Space, text: &str) -> Blob {
        let mut content = space.receive().unwrap();
        content.write_all(text.as_bytes()).unwrap();
        content.finish().unwrap()
    }

    #[test]
    fn parts_belong_to_one_upload_and_expire_with_it() {
        let home = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let store = Store::open(home.path(), Options { ephemeral: true, ..Options::default() }).unwrap();
            Space::new(store, name)
        };
        let (one, other) = (open("red/xai"), open("red/xai"));
        let now = Clock::default().now();
        let ends = later(now, SignedDuration::from_hours(1));
        let parts = UploadParts::of(&one, "u1");
        for (key, text) in [("2", "b"), ("1", "x"), ("1", "a")] {
            parts.put(key, ends, blob(&one, text)).unwrap();
        }
        UploadParts::of(&one, "u10").add(ends, blob(&one, "foreign")).unwrap();
        UploadParts::of(&one, "u1").put("3", now, blob(&one, "late")).unwrap();
        let seen = UploadParts::of(&other, "u1");
        let keys: Vec<_> = seen.all().unwrap().into_iter().map(|part| part.name).collect();
        assert_eq!(keys, ["1", "2"]);
        assert_eq!(one.expire().unwrap(), 1);
        let content = seen.combined(other.receive().unwrap(), ["2", "1"]).unwrap();
        let file = other.put(File { id: "f".into(), ..File::default() }, content.finish().unwrap()).unwrap();
        let mut text = String::new();
        other.get(&file.id).unwrap().1.read_to_string(&mut text).unwrap();
        assert_eq!(text, "ba");
        assert_eq!(one.list(&Listing::default()).unwrap().len(), 1, "parts are not listed");
        assert!(open("blue/xai").stat(&"f".into()).is_err());
        seen.remove();
        assert!(parts.all().unwrap().is_empty());
        assert_eq!(UploadParts::of(&one, "u10").all().unwrap().len(), 1);
    }
}
