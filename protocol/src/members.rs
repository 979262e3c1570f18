//! Taking members out of an object so that what remains is still an object.

use crate::{Span, Splice};

/// A member of an object: its value, and where the member before it ends (for the first: right behind the `{`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub(crate) after: u32,
    /// The value.
    pub value: Span,
}

impl Member {
    pub(crate) fn new(after: usize, value: Span) -> Self {
        Self { after: u32::try_from(after).unwrap_or(u32::MAX), value }
    }
}

/// Deletes `members` from the object of `source` whose first byte behind the `{` is at `start`, commas included.
pub(crate) fn delete(splice: &mut Splice<'_>, source: &[u8], start: usize, members: &mut [Member]) {
    members.sort_by_key(|member| member.value.start());
    // Members deleted from the front take the comma behind them along, all others the comma before them.
    let mut front = start;
    for member in members.iter() {
        if member.after as usize == front {
            front = member.value.end();
        } else {
            splice.delete(Span::new(member.after as usize, member.value.end()));
        }
    }
    if front != start {
        let rest = source.get(front..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let comma = usize::from(rest.get(blank) == Some(&b','));
        splice.delete(Span::new(start, front + if comma == 1 { blank + 1 } else { 0 }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(names: &[&str]) -> String {
        let source = r#"{ "a":1 , "b":2,"c" : 3 }"#;
        let all = [("a", 1, 7), ("b", 7, 15), ("c", 15, 23)];
        let mut members: Vec<Member> = all
            .iter()
            .filter(|(name, ..)| names.contains(name))
            .map(|&(_, after, end)| Member::new(after, Span::new(end - 1, end)))
            .collect();
        let mut splice = Splice::new(source.as_bytes());
        delete(&mut splice, source.as_bytes(), 1, &mut members);
        String::from_utf8(splice.finish().to_vec()).unwrap()
    }

    #[test]
    fn what_remains_is_an_object() {
        let names = ["a", "b", "c"];
        for mask in 0u8..8 {
            let gone: Vec<&str> = (0..3).filter(|bit| mask & (1 << bit) != 0).map(|bit| names[bit]).collect();
            let left: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&without(&gone)).unwrap();
            let kept: Vec<&str> = names.into_iter().filter(|name| !gone.contains(name)).collect();
            assert_eq!(left.keys().map(String::as_str).collect::<Vec<_>>(), kept);
        }
    }
}
