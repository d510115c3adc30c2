//! One gzip file (RFC 1952) that is written in pieces, each compressed on its own: the next can be written after a crash, and
//! readers that know a single member read all of it.

use flate2::{Compress, Compression, FlushCompress};

use crate::jobs::Progress;

/// Deflate, no name, no moment, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// An empty last block (RFC 1951 §3.2.3).
const LAST_BLOCK: [u8; 2] = [3, 0];

/// The next piece of the file. `progress` holds the checksum and the length of what was written before.
pub(super) fn piece(progress: &mut Progress, text: &[u8], is_last: bool) -> Vec<u8> {
    let mut piece = if progress.parts == 0 { HEADER.to_vec() } else { Vec::new() };
    if !text.is_empty() {
        piece.extend(deflated(text));
    }
    let mut checksum = crc32fast::Hasher::new_with_initial(progress.checksum);
    checksum.update(text);
    progress.checksum = checksum.finalize();
    progress.bytes += text.len() as u64;
    if is_last {
        piece.extend(LAST_BLOCK);
        piece.extend(progress.checksum.to_le_bytes());
        // The length modulo 2³², as the format has it.
        piece.extend((progress.bytes as u32).to_le_bytes());
    }
    piece
}

/// Blocks that stand for themselves and end at a byte.
fn deflated(text: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::default(), false);
    let mut output = Vec::with_capacity(text.len() / 2 + 64);
    loop {
        let read = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let rest = text.get(read..).unwrap_or_default();
        compress.compress_vec(rest, &mut output, FlushCompress::Full).expect("memory is all that it needs");
        let read = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        // It is flushed when it leaves room.
        if read >= text.len() && output.len() < output.capacity() {
            return output;
        }
        output.reserve(output.capacity().max(1024));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn unzipped(pieces: &[&[u8]]) -> Vec<u8> {
        let mut progress = Progress::default();
        let mut file = Vec::new();
        for (place, text) in pieces.iter().enumerate() {
            file.extend(piece(&mut progress, text, place + 1 == pieces.len()));
            progress.parts += 1;
        }
        let mut text = Vec::new();
        let mut reader = GzDecoder::new(file.as_slice());
        reader.read_to_end(&mut text).unwrap();
        assert!(reader.into_inner().is_empty(), "one member is the whole file");
        text
    }

    #[test]
    fn pieces_are_one_file() {
        let long: Vec<u8> =
            (0..300_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for pieces in [&[&b""[..]][..], &[b"a"], &[b"one,", b"two,", b""], &[&long, b"x", &long]] {
            assert_eq!(unzipped(pieces), pieces.concat());
        }
    }
}
