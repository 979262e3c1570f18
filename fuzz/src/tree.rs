//! JSON as a tree that keeps what messages must keep: the order of members, repeated keys, numbers and strings as they
//! are written. Only white space between tokens is lost.

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// A string, number, boolean or null, as it is written.
    Scalar(String),
    /// An array.
    List(Vec<Tree>),
    /// An object: keys as they are written, quotes included.
    Object(Vec<(String, Tree)>),
}

/// Deepest nesting that is read; deeper documents are not compared.
const DEEPEST: usize = 100;

impl Tree {
    /// Reads valid JSON; `None` where it nests too deep.
    ///
    /// # Panics
    /// It is no JSON.
    pub fn parse(json: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: json };
        let tree = reader.value(0)?;
        assert_eq!(reader.peek(), None, "something follows the value");
        Some(tree)
    }

    /// The scalar that is written like this.
    pub fn scalar(raw: &str) -> Self {
        Self::Scalar(raw.to_owned())
    }

    /// The members of an object.
    ///
    /// # Panics
    /// It is none.
    pub fn members(&mut self) -> &mut Vec<(String, Tree)> {
        match self {
            Self::Object(members) => members,
            other => panic!("no object: {other:?}"),
        }
    }

    /// The first member of this name, which may be written with escapes.
    pub fn get(&mut self, name: &str) -> Option<&mut Self> {
        self.members().iter_mut().find(|(key, _)| means(key, name)).map(|(_, value)| value)
    }

    /// Takes every member of these names out of the object.
    pub fn remove(&mut self, names: &[&str]) {
        self.members().retain(|(key, _)| !names.iter().any(|name| means(key, name)));
    }

    /// Puts members before all others.
    pub fn prepend(&mut self, added: Vec<(&str, Self)>) {
        let quoted = added.into_iter().map(|(key, value)| (format!("\"{key}\""), value));
        self.members().splice(0..0, quoted);
    }
}

/// Whether a key, as it is written, has this text.
pub fn means(key: &str, name: &str) -> bool {
    serde_json::from_str::<String>(key).is_ok_and(|text| text == name)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<u8> {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.first().copied()
    }

    fn take(&mut self, length: usize) -> String {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        String::from_utf8(taken.to_vec()).expect("JSON is UTF-8")
    }

    fn expect(&mut self, byte: u8) {
        assert_eq!(self.peek(), Some(byte), "at {:?}", String::from_utf8_lossy(self.rest));
        self.take(1);
    }

    fn value(&mut self, depth: usize) -> Option<Tree> {
        if depth > DEEPEST {
            return None;
        }
        match self.peek() {
            Some(b'{') => {
                let mut members = Vec::new();
                self.take(1);
                while self.peek() != Some(b'}') {
                    if !members.is_empty() {
                        self.expect(b',');
                    }
                    let key = self.string();
                    self.expect(b':');
                    members.push((key, self.value(depth + 1)?));
                }
                self.take(1);
                Some(Tree::Object(members))
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.take(1);
                while self.peek() != Some(b']') {
                    if !items.is_empty() {
                        self.expect(b',');
                    }
                    items.push(self.value(depth + 1)?);
                }
                self.take(1);
                Some(Tree::List(items))
            }
            Some(b'"') => Some(Tree::Scalar(self.string())),
            Some(_) => {
                let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
                let length = self.rest.iter().position(ends).unwrap_or(self.rest.len());
                Some(Tree::Scalar(self.take(length)))
            }
            None => panic!("a value is missing"),
        }
    }

    fn string(&mut self) -> String {
        assert_eq!(self.peek(), Some(b'"'), "at {:?}", String::from_utf8_lossy(self.rest));
        let mut end = 1;
        while self.rest[end] != b'"' {
            end += if self.rest[end] == b'\\' { 2 } else { 1 };
        }
        self.take(end + 1)
    }
}
