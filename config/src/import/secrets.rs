//! Telling literals that are secret from those that plainly are not.

use super::text::REFERENCE;

/// Words of a name whose value is a secret.
const NAMES: [&str; 26] = [
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "dsn",
    "jwt",
    "key",
    "keys",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pat",
    "private",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "secrets",
    "session",
    "signature",
    "token",
    "webhook",
];

/// Last words of a name whose value says where a secret is, or something about it.
const ABOUT: [&str; 19] = [
    "algorithm",
    "count",
    "dir",
    "directory",
    "enabled",
    "endpoint",
    "file",
    "folder",
    "header",
    "issuer",
    "length",
    "limit",
    "mode",
    "name",
    "path",
    "timeout",
    "type",
    "url",
    "user",
];

/// Ends of a word of a name whose value is a secret: `PGPASSWORD`, `authtoken`.
const ENDS: [&str; 6] = ["apikey", "passphrase", "passwd", "password", "secret", "token"];

/// Words before a credential that are no part of it, in small letters.
const SCHEMES: [&str; 7] = ["apikey", "basic", "bearer", "bot", "key", "ssws", "token"];

/// Beginnings of words that are secrets whatever they are called.
const BEGINNINGS: [&str; 20] = [
    "AIza",
    "AKIA",
    "ASIA",
    "EAAC",
    "SG.",
    "dop_v1_",
    "eyJ",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "hf_",
    "ntn_",
    "pat-",
    "sk-",
    "sk_",
    "xox",
    "-----BEGIN",
];

/// Shortest text that is taken for a secret because of how it looks.
const LONG: usize = 20;

/// Whether the literal `value` of a variable, header or option called `name` is to be kept out of a file. In doubt it is.
/// [`REFERENCE`] stands for what comes from elsewhere.
pub(super) fn looks_secret(name: &str, value: &str) -> bool {
    let value = value.trim();
    if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
        return false;
    }
    (says_something(value) && names_secret(name))
        || holds_token(value)
        || holds_password(value)
        || holds_pair(value)
        || value.split(REFERENCE).any(|piece| piece.len() >= LONG && is_random(piece))
}

/// Whether a name says that its value is secret.
pub(super) fn names_secret(name: &str) -> bool {
    let words = words(name);
    let secret = |word: &String| NAMES.contains(&word.as_str()) || ENDS.iter().any(|end| word.ends_with(end));
    let about = match words.as_slice() {
        // `CLIENT_ID` and `KEY_ID` are known to everybody, `SECRET_ID` and `SESSION_ID` are not.
        [.., before, last] if last == "id" => before == "key" || !secret(before),
        [.., last] if last == "url" => !words.iter().any(|word| word == "webhook"),
        [.., last] => ABOUT.contains(&last.as_str()),
        [] => true,
    };
    !about && words.iter().any(secret)
}

/// Whether a word stands before a credential and is no part of it.
pub(super) fn is_scheme(word: &str) -> bool {
    SCHEMES.contains(&word.to_ascii_lowercase().as_str())
}

/// Whether there is more to a value than references and the scheme before them.
fn says_something(value: &str) -> bool {
    let rest = value.split_once([' ', REFERENCE]).filter(|(scheme, _)| is_scheme(scheme));
    rest.map_or(value, |(_, rest)| rest).contains(|letter| letter != REFERENCE && !is_blank(letter))
}

/// Whether a character alone tells nothing.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || "\"',;:(){}[]".contains(letter)
}

/// Whether a word anywhere in a value is a token of a known service, or one that stands behind `Bearer` or an option.
fn holds_token(value: &str) -> bool {
    let address = value.contains("://");
    let ends = |c: char| {
        is_blank(c) || "=&?|()[]{}<>`".contains(c) || c == REFERENCE || (address && "/@".contains(c))
    };
    let known = |word: &str| BEGINNINGS.iter().any(|beginning| word.starts_with(beginning));
    if value.split(ends).any(known) {
        return true;
    }
    let mut before = "";
    for word in value.split_whitespace() {
        let scheme = before.trim_matches(is_blank);
        let option = before.starts_with('-') && !before.contains('=') && names_secret(before);
        let basic = scheme == "Basic" && value.starts_with("Basic ");
        if (option && !word.starts_with('-') || scheme.eq_ignore_ascii_case("bearer") || basic)
            && says_something(word)
        {
            return true;
        }
        before = word;
    }
    false
}

/// Whether `password=…` or the like stands in a value, as in strings that name a database, or in JSON.
fn holds_pair(value: &str) -> bool {
    value.match_indices(['=', ':']).any(|(at, separator)| {
        let (before, after) = value.split_at_checked(at).unwrap_or_default();
        let after = after.get(separator.len()..).unwrap_or_default();
        let before = before.trim_end_matches([' ', '"', '\'']);
        let part_of_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let begin = before.trim_end_matches(part_of_name).len();
        let name = before.get(begin..).unwrap_or_default();
        // `//auth.example.com:443` and `ghcr.io/x/auth:1` are no pairs.
        let place = separator == ":"
            && (name.contains('.') || before.get(..begin).is_some_and(|it| it.ends_with(['/', '@'])));
        if place || after.starts_with("//") || !names_secret(name) {
            return false;
        }
        let after = after.trim_start_matches([' ', '"', '\'']);
        let after = after.split_once(' ').filter(|(word, _)| is_scheme(word)).map_or(after, |(_, rest)| rest);
        let end = after.find(|c: char| c.is_whitespace() || ",;&\"'}".contains(c)).unwrap_or(after.len());
        let secret = after.get(..end).unwrap_or_default();
        says_something(secret) && !matches!(secret, "true" | "false")
    })
}

/// The words of `apiKey`, `API_KEY` or `--api-key`, in small letters.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        let begins = letter.is_ascii_uppercase() && before.is_ascii_lowercase();
        if !letter.is_ascii_alphanumeric() || begins {
            words.push(String::new());
        }
        if letter.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a URL holds a password.
fn holds_password(value: &str) -> bool {
    value.match_indices("://").any(|(at, separator)| {
        let rest = value.get(at + separator.len()..).unwrap_or_default();
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        user.is_some_and(|(_, password)| password.contains(|letter| letter != REFERENCE))
    })
}

/// Whether it is one word without meaning: letters and digits mixed, no path, no address, no list.
fn is_random(value: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-+=".contains(c);
    let mixed =
        value.contains(|c: char| c.is_ascii_digit()) && value.contains(|c: char| c.is_ascii_alphabetic());
    mixed && value.chars().all(word)
}

#[cfg(test)]
mod tests {
    use super::looks_secret;

    #[test]
    fn secrets_are_told_from_settings() {
        for (name, value) in [
            ("GITHUB_PERSONAL_ACCESS_TOKEN", "x"),
            ("apiKey", "abc"),
            ("--api-key", "abc"),
            ("DB_PASSWORD", "hunter2"),
            ("X-Api-Key", "1"),
            ("Authorization", "Basic abc"),
            ("ANYTHING", "ghp_abc"),
            ("DATABASE", "postgres://ada:hunter2@db/x"),
            ("VALUE", "9f86d081884c7d659a2feaa0c55ad015"),
            ("DATABASE_URL", "postgres://ada:hunter2@db/x"),
            ("DATABASE_URL", "postgres://ada:hunter2@\u{1}/x"),
            ("PASSWORD", "hunter2\u{1}"),
            ("Authorization", "Bearer abc\u{1}"),
            ("Authorization", "\u{1} abc"),
            ("ANYTHING", "\u{1}9f86d081884c7d659a2feaa0c55ad015"),
            ("PGPASSWORD", "hunter2"),
            ("clientsecret", "x"),
            ("SECRET_ID", "x"),
            ("SLACK_WEBHOOK_URL", "https://example.com/x"),
            ("CONNECTION", "Server=h;Password=hunter2;User=a"),
            ("HEADERS", r#"{"X-Version": "1", "X-Api-Key": "abc"}"#),
            ("HEADERS", r#"{"Authorization": "Bearer abc"}"#),
            ("GH", "token ghp_abc"),
            ("REPO", "https://ghp_abc@example.com/x"),
            ("", "npx -y server --token abc"),
        ] {
            assert!(looks_secret(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("LOG_LEVEL", "debug"),
            ("MAX_TOKENS", "4096"),
            ("USE_AUTH", "true"),
            ("KEY_FILE", "/etc/key.pem"),
            ("TOKEN_URL", "https://example.com/token"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/1/bin"),
            ("BASE_URL", "https://example.com/v1"),
            ("KEYBOARD", "us"),
            ("CLIENT_ID", "weir"),
            ("TZ", "Europe/Berlin"),
            ("EMPTY_TOKEN", ""),
            ("TOKEN", "\u{1}"),
            ("KEY_ID", "weir"),
            ("CLIENT_SECRET_NAME", "weir"),
            ("Authorization", "Bearer \u{1}"),
            ("HEADERS", "{\"Authorization\": \"Bearer \u{1}\"}"),
            ("CONNECTION", "Server=h;Password=\u{1};User=a"),
            ("CONNECTION", "Server=h;Password=;User=a"),
            ("DATABASE_URL", "postgres://ada:\u{1}@db/x"),
            ("IMAGE", "ghcr.io/example/auth:1.2"),
            ("HOST", "https://auth:8080/x"),
            ("", "npx -y server --token \u{1}"),
        ] {
            assert!(!looks_secret(name, value), "{name}={value}");
        }
    }
}
