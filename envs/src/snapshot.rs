//! Snapshots: the serialised state of an environment, from which a run resumes.
//!
//! A wrapper stores its own state together with the snapshot of the environment within:
//!
//! ```text
//! TimeLimit 1 | steps | CartPole 1 | random stream, state of the pole, over | CRC-32 | CRC-32
//! ```
//!
//! The encoding is [postcard](https://postcard.jamesmunns.com).

use serde::{Deserialize, Serialize};

use crate::EnvError;

/// Writes the snapshot of an environment of the kind `name`: its state and, for a wrapper, the snapshot of the
/// environment within. Increase `version` whenever the meaning of `state` changes.
///
/// ```
/// use coinop_envs::snapshot::{open, seal};
///
/// let bytes = seal("Corridor", 1, &(3u32, false), &[]);
/// let ((cell, over), inner): ((u32, bool), _) = open("Corridor", 1, &bytes)?;
/// assert_eq!((cell, over, inner.len()), (3, false, 0));
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
///
/// # Panics
///
/// If `state` cannot be serialised. Numbers, arrays, vectors, strings, tuples and structs of them can.
#[must_use]
pub fn seal<T: Serialize>(name: &str, version: u8, state: &T, inner: &[u8]) -> Vec<u8> {
    let mut bytes = match postcard::to_allocvec(&(name, version, state)) {
        Ok(bytes) => bytes,
        Err(error) => panic!("the state of {name} can't be written: {error}"),
    };
    bytes.extend_from_slice(inner);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Reads what [`seal`] wrote: the state, and the snapshot of the environment within. The caller must validate the
/// state.
///
/// ```
/// use coinop_envs::snapshot::{open, seal};
///
/// let bytes = seal("Corridor", 1, &7u32, b"within");
/// let (cell, within): (u32, _) = open("Corridor", 1, &bytes)?;
/// assert_eq!((cell, within), (7, &b"within"[..]));
/// // Another version, another environment, or damage is an error.
/// assert!(open::<u32>("Corridor", 2, &bytes).is_err());
/// # Ok::<(), coinop_envs::EnvError>(())
/// ```
///
/// # Errors
///
/// [`EnvError::BadSnapshot`].
pub fn open<'a, T: Deserialize<'a>>(
    name: &'static str,
    version: u8,
    bytes: &'a [u8],
) -> Result<(T, &'a [u8]), EnvError> {
    let damaged = || bad(name, "it is damaged");
    let (bytes, sum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    if crc32fast::hash(bytes) != u32::from_le_bytes(*sum) {
        return Err(damaged());
    }
    let ((found, format), rest) = postcard::take_from_bytes::<(&str, u8)>(bytes).map_err(|_| damaged())?;
    if found != name {
        return Err(bad(name, format!("found {found}")));
    }
    if format != version {
        return Err(bad(
            name,
            format!("it has format {format}, and this program reads format {version}"),
        ));
    }
    postcard::take_from_bytes(rest).map_err(|_| damaged())
}

/// Creates the error for a snapshot that does not fit an environment of the kind `name`.
///
/// ```
/// use coinop_envs::snapshot::bad;
///
/// let error = bad("Corridor", "its cell is beyond the end");
/// assert!(error.to_string().contains("Corridor") && error.to_string().contains("beyond the end"));
/// ```
pub fn bad(name: &'static str, reason: impl Into<String>) -> EnvError {
    EnvError::BadSnapshot {
        env: name,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_snapshot_is_named() {
        let sealed = seal("Inner", 2, &7u64, &[1, 2, 3]);
        assert_eq!(open::<u64>("Inner", 2, &sealed).unwrap(), (7, [1, 2, 3].as_slice()));
        let error = |name, version, bytes: &[u8]| open::<u64>(name, version, bytes).unwrap_err().to_string();
        assert_eq!(error("Outer", 2, &sealed), "not a snapshot of Outer: found Inner");
        assert_eq!(
            error("Inner", 3, &sealed),
            "not a snapshot of Inner: it has format 2, and this program reads format 3"
        );
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert_eq!(error("Inner", 2, &flipped), "not a snapshot of Inner: it is damaged");
            assert_eq!(
                error("Inner", 2, &sealed[..at]),
                "not a snapshot of Inner: it is damaged"
            );
        }
    }
}
