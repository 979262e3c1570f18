//! Distinguished names as text that no other name is written as.
//!
//! S: RFC 4514 sections 2 and 3.

use x509_parser::der_parser::asn1_rs::{Any, Tag};
use x509_parser::x509::X509Name;

/// The types that have a short name (RFC 4514 section 3).
const TYPES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// Writes a name: the most special part first, types without a short name as numbers, and everything escaped that could pass
/// for structure.
pub(super) fn write(name: &X509Name<'_>) -> Result<String, String> {
    let mut parts = Vec::new();
    for part in name.iter_rdn() {
        let mut attributes = Vec::new();
        for attribute in part.iter() {
            let number = attribute.attr_type().to_id_string();
            let short = TYPES.iter().find(|(known, _)| *known == number).map(|(_, short)| *short);
            let text = text(attribute.attr_value()).filter(|_| short.is_some());
            let value = match text {
                Some(text) => escaped(&text),
                None => hexadecimal(attribute.attr_value())?,
            };
            attributes.push(format!("{}={value}", short.unwrap_or(&number)));
        }
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    Ok(parts.join(","))
}

fn text(value: &Any<'_>) -> Option<String> {
    let plain = matches!(value.tag(), Tag::Utf8String | Tag::PrintableString | Tag::Ia5String);
    std::str::from_utf8(value.data).ok().filter(|_| plain).map(str::to_owned)
}

/// The value's encoding in digits, for what is no text.
fn hexadecimal(value: &Any<'_>) -> Result<String, String> {
    use x509_parser::der_parser::asn1_rs::ToDer;
    let encoded = value.to_der_vec().map_err(|error| error.to_string())?;
    Ok(encoded.iter().fold("#".to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (place, character) in text.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => written.extend(['\\', character]),
            ' ' if place == 0 || place == last => written.push_str("\\ "),
            '#' if place == 0 => written.push_str("\\#"),
            character if character.is_control() => {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    written.push_str(&format!("\\{byte:02X}"));
                }
            }
            character => written.push(character),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_passes_for_structure() {
        for (text, written) in [
            ("ada", "ada"),
            ("ada,O=admins", "ada\\,O\\=admins"),
            ("#1 ", "\\#1\\ "),
            (" ", "\\ "),
            ("a b", "a b"),
            ("a\0\n", "a\\00\\0A"),
            ("a+b\\", "a\\+b\\\\"),
            ("Žižka", "Žižka"),
        ] {
            assert_eq!(escaped(text), written);
        }
    }
}
