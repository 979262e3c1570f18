//! `roots` of a backend.

use super::Checker;
use crate::file;
use crate::model::Root;
use crate::tree::Path;
use url::Url;

/// Most roots of one backend.
const MOST: usize = 100;

/// The roots that stand at `here`.
pub(super) fn roots(checker: &mut Checker<'_>, here: &Path, written: Vec<file::Root>) -> Vec<Root> {
    if written.len() > MOST {
        let message = format!("{} roots are named, and at most {MOST} may be", written.len());
        checker.error(checker.at_key(here, message));
    }
    let mut roots = Vec::with_capacity(written.len());
    for (index, written) in written.into_iter().enumerate() {
        let here = here.index(index);
        let (place, root) = match written {
            file::Root::Uri(uri) => (here, Root { uri, name: None }),
            file::Root::Table(file::RootTable { uri, name }) => (here.key("uri"), Root { uri, name }),
        };
        // The protocol allows no other scheme (2025-11-25 `client/roots`).
        let is_file = Url::parse(&root.uri).is_ok_and(|url| url.scheme() == "file");
        if !is_file || !root.uri.starts_with("file://") {
            let finding = checker.at(&place, "not a URI that begins with `file://`");
            checker.error(finding.help("write a path such as `/srv/files` as `file:///srv/files`"));
        }
        roots.push(root);
    }
    roots
}
