//! An authority for certificates, made with openssl.

use crate::process::Process;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// An authority that signs what a test wants.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A certificate and its key, as files.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Issued {
    /// curl's options to show it.
    pub fn options(&self) -> [&str; 4] {
        ["--cert", text(&self.certificate), "--key", text(&self.key)]
    }

    /// The certificate's SHA-256, as tokens name it that are bound to it (RFC 8705 section 3.1).
    pub fn thumbprint(&self) -> String {
        let mut command = Command::new("openssl");
        command.args(["x509", "-noout", "-fingerprint", "-sha256", "-in", text(&self.certificate)]);
        let told = run(&mut command);
        let digits = told.trim().rsplit('=').next().expect("a fingerprint");
        let bytes: Vec<u8> =
            digits.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect();
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Self { folder };
        let extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
        authority.request("authority", "/CN=authority", extensions, &["-x509", "-days", "2"]);
        authority
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.file("authority.pem")
    }

    /// Signs for a client that calls itself `subject`, in openssl's form `/O=…/CN=…`, with alternative names such as
    /// `URI:spiffe://…`; `days` may be negative for what has ended already.
    pub fn client(&self, name: &str, subject: &str, alternative: &str, days: i32) -> Issued {
        self.issue(name, subject, &of_client(alternative), days)
    }

    /// The same for a few seconds.
    pub fn client_for(&self, name: &str, subject: &str, alternative: &str, seconds: u64) -> Issued {
        let (requested, settings) = self.prepare(name, subject, &of_client(alternative));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let issued = self.file(&format!("{name}.pem"));
        let folder = text(self.folder.path());
        let about = format!(
            "[ca]\ndefault_ca=own\n[own]\nnew_certs_dir={folder}\ndatabase={folder}/index.txt\nserial={folder}/serial\n\
            default_md=sha256\npolicy=any\n[any]\ncommonName=optional\n"
        );
        let config = self.file("ca.cnf");
        std::fs::write(&config, about).expect("the settings can be written");
        std::fs::write(self.file("index.txt"), "").expect("a file can be written");
        std::fs::write(self.file("serial"), "01\n").expect("a file can be written");
        let mut command = Command::new("openssl");
        command
            .args(["ca", "-batch", "-notext", "-config", text(&config)])
            .args(["-cert", text(&self.certificate()), "-keyfile", text(&self.file("authority-key.pem"))])
            .args(["-startdate", &written(now.saturating_sub(60)), "-enddate", &written(now + seconds)])
            .args(["-in", text(&requested), "-extfile", text(&settings), "-out", text(&issued)]);
        run(&mut command);
        Issued { certificate: issued, key: self.file(&format!("{name}-key.pem")) }
    }

    /// Signs for a server at 127.0.0.1.
    pub fn server(&self) -> Issued {
        self.server_of("IP:127.0.0.1")
    }

    /// Signs for a server with these alternative names, such as `DNS:*.example.test`.
    pub fn server_of(&self, alternative: &str) -> Issued {
        let extensions = format!("basicConstraints=critical,CA:FALSE\nsubjectAltName={alternative}\n");
        self.issue("server", "/CN=server", &extensions, 2)
    }

    /// What asks for a certificate, and a file of the extensions that it is to have.
    fn prepare(&self, name: &str, subject: &str, extensions: &str) -> (PathBuf, PathBuf) {
        self.request(name, subject, "", &["-new"]);
        let settings = self.file(&format!("{name}.ext"));
        std::fs::write(&settings, extensions).expect("the extensions can be written");
        let requested = self.file(&format!("{name}.csr"));
        let issued = self.file(&format!("{name}.pem"));
        std::fs::rename(&issued, &requested).expect("the request is there");
        (requested, settings)
    }

    fn issue(&self, name: &str, subject: &str, extensions: &str, days: i32) -> Issued {
        let (requested, settings) = self.prepare(name, subject, extensions);
        let issued = self.file(&format!("{name}.pem"));
        let mut command = Command::new("openssl");
        command
            .args(["x509", "-req", "-CAcreateserial", "-days", &days.to_string()])
            .args(["-CA", text(&self.certificate()), "-CAkey", text(&self.file("authority-key.pem"))])
            .args(["-in", text(&requested), "-extfile", text(&settings), "-out", text(&issued)]);
        run(&mut command);
        Issued { certificate: issued, key: self.file(&format!("{name}-key.pem")) }
    }

    fn request(&self, name: &str, subject: &str, extensions: &str, more: &[&str]) {
        let settings = self.file(&format!("{name}.cnf"));
        let own = if extensions.is_empty() { "" } else { "x509_extensions=own\n" };
        let config = format!("[req]\nprompt=no\ndistinguished_name=name\n{own}[name]\n[own]\n{extensions}");
        std::fs::write(&settings, config).expect("the settings can be written");
        let mut command = Command::new("openssl");
        command
            .args(["req", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-utf8"])
            .args(["-subj", subject, "-config", text(&settings)])
            .args(["-keyout", text(&self.file(&format!("{name}-key.pem")))])
            .args(["-out", text(&self.file(&format!("{name}.pem")))])
            .args(more);
        run(&mut command);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// The extensions of a client's certificate.
fn of_client(alternative: &str) -> String {
    let names =
        if alternative.is_empty() { String::new() } else { format!("subjectAltName={alternative}\n") };
    format!("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n{names}")
}

/// A moment, in seconds since 1970, as X.509 writes it.
fn written(moment: u64) -> String {
    let (day, rest) = (moment / 86_400, moment % 86_400);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut left) = (1970, day);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{:02}{hour:02}{minute:02}{second:02}Z", left + 1)
}

fn run(command: &mut Command) -> String {
    let exit = Process::run(command, "");
    assert!(exit.status.success(), "openssl: {}", exit.stderr);
    exit.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}
