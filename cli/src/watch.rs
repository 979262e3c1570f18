//! Whether files have changed, seen by looking at them now and then.
//!
//! Looking works the same for files that are written in place, replaced by renaming, or reached over symbolic links that
//! are swapped, and on every file system.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the system says of a file without reading it; `None` where there is none.
type Mark = Option<(u64, u64, u64, i64, i64)>;

/// Files under watch.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    files: BTreeMap<PathBuf, File>,
    /// Something moved at the last look, and may still be moving.
    moving: bool,
}

/// One of them as it was last seen.
#[derive(Debug, Default)]
struct File {
    mark: Mark,
    /// A hash of what it held when that was last compared; `None` while it never was.
    content: Option<u64>,
}

impl Watch {
    /// Watches these files from now on. What is known of those that were watched before stays known.
    pub(crate) fn follow(&mut self, files: &[PathBuf]) {
        let mut before = std::mem::take(&mut self.files);
        for path in files {
            let known = before.remove(path);
            self.moving |= known.is_none();
            self.files.insert(path.clone(), known.unwrap_or_default());
        }
    }

    /// Looks; true when a file holds something else than before, or was never looked at, and nothing has moved since the
    /// last look: what is being written is left alone until it is whole.
    pub(crate) fn has_changed(&mut self) -> bool {
        let mut moved = false;
        for (path, file) in &mut self.files {
            let now = mark(path);
            moved |= now != file.mark;
            file.mark = now;
        }
        if moved || !self.moving {
            self.moving |= moved;
            return false;
        }
        self.moving = false;
        let mut changed = false;
        for (path, file) in &mut self.files {
            let now = Some(content(path));
            changed |= now != file.content;
            file.content = now;
        }
        changed
    }
}

fn mark(path: &Path) -> Mark {
    let metadata = fs::metadata(path).ok()?;
    // The time of the last change to the file's entry, which no program can set back.
    Some((metadata.dev(), metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
}

/// A hash of what the file holds, or of the names in a folder. One that cannot be read is like no other.
fn content(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Ok(entries) = fs::read_dir(path) {
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names.hash(&mut hasher);
        return hasher.finish();
    }
    fs::read(path).map_err(|error| error.kind()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn settle(watch: &mut Watch) -> bool {
        (0..3).any(|_| watch.has_changed())
    }

    #[test]
    fn every_way_to_change_a_file_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weir.yaml");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::default();
        watch.follow(std::slice::from_ref(&file));
        assert!(settle(&mut watch), "what it held when it was read is not known");
        assert!(!settle(&mut watch));

        fs::write(&file, "two").unwrap();
        assert!(!watch.has_changed(), "it may still be written");
        assert!(watch.has_changed());
        assert!(!settle(&mut watch));

        fs::write(&file, "two").unwrap();
        assert!(!settle(&mut watch), "it holds what it held");

        fs::write(folder.path().join("new"), "three").unwrap();
        fs::rename(folder.path().join("new"), &file).unwrap();
        assert!(settle(&mut watch));

        fs::remove_file(&file).unwrap();
        assert!(settle(&mut watch));
        assert!(!settle(&mut watch));
    }

    #[test]
    fn swapped_links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("weir.yaml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/weir.yaml", at("weir.yaml")).unwrap();
        let mut watch = Watch::default();
        watch.follow(&[at("weir.yaml")]);
        settle(&mut watch);
        symlink("..2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        assert!(settle(&mut watch));
    }

    #[test]
    fn files_that_come_and_go_change_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::default();
        watch.follow(&[folder.path().to_owned()]);
        settle(&mut watch);
        let file = folder.path().join("a.cedar");
        fs::write(&file, "1").unwrap();
        assert!(settle(&mut watch));
        fs::write(&file, "2").unwrap();
        assert!(!settle(&mut watch), "the names are the same");
        fs::remove_file(&file).unwrap();
        assert!(settle(&mut watch));
    }

    #[test]
    fn files_that_join_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        fs::write(&one, "1").unwrap();
        let mut watch = Watch::default();
        watch.follow(std::slice::from_ref(&one));
        settle(&mut watch);
        watch.follow(std::slice::from_ref(&one));
        assert!(!settle(&mut watch));
        watch.follow(&[one, two.clone()]);
        assert!(settle(&mut watch));
        fs::write(two, "2").unwrap();
        assert!(settle(&mut watch));
    }
}
