//! Exposed names: writing a backend's name into a tool's or prompt's.

/// The exposed name under the prefix strategy. `format` holds `{backend}` and may hold `{name}`, which otherwise follows
/// at the end; that no two backends' formats are ambiguous was checked when the configuration was read.
pub(crate) fn prefixed(format: &str, backend: &str, name: &str) -> String {
    // The backend goes in first, so that a tool whose name looks like a placeholder stays as it is.
    match format.split_once("{name}") {
        Some((before, after)) => {
            format!("{}{name}{}", before.replace("{backend}", backend), after.replace("{backend}", backend))
        }
        None => format!("{}{name}", format.replace("{backend}", backend)),
    }
}

#[cfg(test)]
mod tests {
    use super::prefixed;

    #[test]
    fn formats() {
        assert_eq!(prefixed("{backend}_", "git", "log"), "git_log");
        assert_eq!(prefixed("{backend}__{name}", "git", "{backend}"), "git__{backend}");
        assert_eq!(prefixed("{name}.{backend}", "git", "log"), "log.git");
    }
}
