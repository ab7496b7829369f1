//! Frames: a payload behind its length, in both directions.

use bytes::{BufMut, BytesMut};

/// A frame whose declared length is below zero or above the maximum; the connection must close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame declares {declared} bytes, the limit is {max}")]
pub struct BadFrame {
    /// What the peer declared.
    pub declared: i32,
    /// What is allowed.
    pub max: usize,
}

/// The length word of a frame.
pub const LENGTH_WORD: usize = 4;

/// Looks at the front of a buffer: the payload length of a frame that begins there, `None` if even
/// its length has not arrived. The payload may still be on its way.
pub fn payload_len(buf: &[u8], max: usize) -> Result<Option<usize>, BadFrame> {
    let Some(word) = buf.first_chunk::<LENGTH_WORD>() else {
        return Ok(None);
    };
    let declared = i32::from_be_bytes(*word);
    match usize::try_from(declared) {
        Ok(len) if len <= max => Ok(Some(len)),
        _ => Err(BadFrame { declared, max }),
    }
}

/// Appends a frame whose payload is written by `payload`.
pub fn put_frame<R>(out: &mut BytesMut, payload: impl FnOnce(&mut BytesMut) -> R) -> R {
    let start = out.len();
    out.put_i32(0);
    let result = payload(out);
    let len = i32::try_from(out.len() - start - LENGTH_WORD)
        .expect("no frame of ours comes near two gigabytes");
    if let Some(word) = out.get_mut(start..start + LENGTH_WORD) {
        word.copy_from_slice(&len.to_be_bytes());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_at_the_limit_passes_and_one_above_does_not() {
        assert_eq!(payload_len(&[0, 0, 0, 9], 9), Ok(Some(9)));
        assert_eq!(
            payload_len(&[0, 0, 0, 10], 9),
            Err(BadFrame {
                declared: 10,
                max: 9
            })
        );
        assert_eq!(
            payload_len(&[0xff; 4], 9),
            Err(BadFrame {
                declared: -1,
                max: 9
            })
        );
        assert_eq!(payload_len(&[0, 0, 0], 9), Ok(None));
    }

    #[test]
    fn a_frame_carries_its_length() {
        let mut out = BytesMut::from(&b"before"[..]);
        put_frame(&mut out, |payload| payload.put_slice(b"abc"));
        assert_eq!(&out[..], b"before\x00\x00\x00\x03abc");
    }
}
