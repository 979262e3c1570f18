//! `weir import`: the configuration of another program as weir's own.

use crate::args::Import;
use crate::{say, say_error};
use std::ffi::OsString;
use std::fs::{OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use weir_config::{Imported, Origin, Variable};

/// The name that stands for standard output.
const STDOUT: &str = "-";

/// Carries a file over, writes the result and tells what could not be carried over.
pub(crate) fn run(import: &Import) -> anyhow::Result<ExitCode> {
    let origin = import.from.map(Origin::from);
    let imported = match weir_config::import(&import.file, origin) {
        Ok(imported) => imported,
        Err(errors) => {
            for error in errors.diagnostics() {
                say_error(&error.to_string());
            }
            say_error(&format!("{}: nothing was written", import.file.display()));
            return Ok(ExitCode::FAILURE);
        }
    };
    let Imported { text, remarks, variables, .. } = imported;
    let to_stdout = import.output == Path::new(STDOUT);
    if !to_stdout {
        write(&import.output, &text, import.force)?;
    }
    for remark in &remarks {
        say_error(&format!("{remark}\n"));
    }
    if to_stdout {
        say(text.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let output = import.output.display();
    let count = match remarks.len() {
        0 => "everything was carried over".to_owned(),
        1 => "1 remark above".to_owned(),
        count => format!("{count} remarks above"),
    };
    say(&format!("{output}: written ({count})"));
    told(&variables);
    say(&format!("try it: weir check --connect {output}"));
    Ok(ExitCode::SUCCESS)
}

/// Lists the variables to set.
fn told(variables: &[Variable]) {
    let needed: Vec<&Variable> = variables.iter().filter(|variable| !variable.optional).collect();
    if !needed.is_empty() {
        say("set these environment variables before weir starts:");
        for Variable { name, purpose, .. } in needed {
            say(&format!("  {name}  {purpose}"));
        }
    }
}

/// Writes the file whole or not at all; one that is there stays unless `force`.
fn write(output: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let shown = output.display();
    let written = match std::fs::metadata(output) {
        Ok(there) if force && there.is_file() => replace(output, text, there.permissions()),
        // A device or a pipe is written to, never replaced.
        Ok(_) if force => std::fs::write(output, text),
        _ => create(output, text),
    };
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists if !force => {
            anyhow::anyhow!(
                "{shown} exists already: name another with --output, or overwrite it with --force"
            )
        }
        _ => anyhow::Error::new(error).context(format!("cannot write {shown}")),
    })
}

/// Puts a new file in the place of one that is there, which whoever reads it has whole at every moment.
fn replace(output: &Path, text: &str, permissions: Permissions) -> std::io::Result<()> {
    // A link goes on leading to the file.
    let output = output.canonicalize()?;
    let mut name = OsString::from(".");
    name.push(output.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let beside = output.with_file_name(name);
    create(&beside, text)?;
    let replaced =
        std::fs::set_permissions(&beside, permissions).and_then(|()| std::fs::rename(&beside, &output));
    replaced.inspect_err(|_| drop(std::fs::remove_file(&beside)))
}

/// Writes a file that is not there yet.
fn create(output: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(output)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.inspect_err(|_| drop(std::fs::remove_file(output)))
}

#[cfg(test)]
mod tests {
    use super::write;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("weir.yaml"), "precious", false).unwrap();
        assert!(write(&at("weir.yaml"), "new", false).unwrap_err().to_string().contains("--force"));
        // Another name of the old file shows that nothing was written into it.
        fs::hard_link(at("weir.yaml"), at("old")).unwrap();
        fs::set_permissions(at("weir.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink(at("weir.yaml"), at("link")).unwrap();
        write(&at("link"), "new", true).unwrap();
        assert_eq!(fs::read_to_string(at("old")).unwrap(), "precious");
        assert_eq!(fs::read_to_string(at("weir.yaml")).unwrap(), "new");
        assert_eq!(fs::metadata(at("weir.yaml")).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        write(&at("first"), "new", true).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
        write("/dev/null".as_ref(), "new", true).unwrap();
        assert!(write(&at("none/weir.yaml"), "new", true).is_err());
    }
}
