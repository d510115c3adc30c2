//! The memory in which argon2 works: 19 MiB, read and written in no order.

use argon2::Block;

/// Blocks of 1 KiB, none until they are asked for.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// So many blocks, which hold what they held before.
    pub(super) fn of(&mut self, blocks: usize) -> &mut [Block] {
        if self.0.len() != blocks {
            self.0 = Vec::with_capacity(blocks);
            ask_for_huge_pages(&mut self.0);
            self.0.resize(blocks, Block::default());
        }
        &mut self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// In pages of 4 KiB a hash takes a fifteenth more time: the processor has forgotten where a page lies by the time that it is
/// wanted again. Where there are no huge pages nothing happens.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages(memory: &mut Vec<Block>) {
    use rustix::mm::{Advice, madvise};

    let spare = memory.spare_capacity_mut();
    let (start, bytes, page) =
        (spare.as_mut_ptr().cast::<u8>(), size_of_val(spare), rustix::param::page_size());
    // Whole pages, which are nobody else's.
    let before = start.align_offset(page).min(bytes);
    let length = (bytes - before) / page * page;
    #[expect(unsafe_code, reason = "the pages lie within the vector, and what is in them stays")]
    let advised = unsafe { madvise(start.add(before).cast(), length, Advice::LinuxHugepage) };
    if let Err(error) = advised {
        tracing::debug!(%error, "passwords are hashed without huge pages");
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_: &mut Vec<Block>) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel tells of each mapping whether it was asked for huge pages, if it knows any.
    #[cfg(target_os = "linux")]
    #[test]
    fn huge_pages_are_asked_for() {
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            eprintln!("skipped: this kernel has no huge pages");
            return;
        }
        let mut memory = Memory::default();
        let middle = &raw const memory.of(8 << 10)[4 << 10] as usize;
        let mappings = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = mappings.lines();
        let within = |line: &str| {
            let ends = line.split(' ').next().and_then(|range| range.split_once('-'));
            let [from, to] = ends.map(|(from, to)| [from, to].map(|end| usize::from_str_radix(end, 16)))?;
            Some((from.ok()?..to.ok()?).contains(&middle))
        };
        lines.find(|line| within(line) == Some(true)).expect("it is mapped");
        let flags = lines.find(|line| line.starts_with("VmFlags:")).expect("each mapping has some");
        assert!(flags.split(' ').any(|flag| flag == "hg"), "{flags}");
    }
}
