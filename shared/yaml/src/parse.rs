//! Events to nodes: tags, anchors, merges, duplicate keys and limits.

use std::collections::HashMap;

use libyaml_safer::{Event, EventData, MappingStyle, ScalarStyle, SequenceStyle};

use crate::events::Input;
use crate::notice::{self, Notice, What};
use crate::{Error, Mapping, Node, Scalar, Style, Tag, key, node, resolve};

/// Which plain scalars are something other than text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Schema {
    /// What kustomize reads manifests with: `yes`, `on`, `y` are text, dates are points in time.
    Manifest,
    /// What Kubernetes clients, Helm and kustomization files are read with: `yes`, `on`, `y` are booleans (as keys,
    /// too: `true`), dates are text as written.
    Yaml11,
}

/// What happens when a key stands twice in one map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Duplicates {
    /// An error with both lines.
    Refuse,
    /// The last one counts, as in kustomization files and Helm values.
    LastWins,
}

/// Which line the message of an error names, where what is wrong spans several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lines {
    /// Where the broken construct begins, as in kustomize.
    Context,
    /// Where it breaks, as in Helm.
    Problem,
}

/// Bounds on one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Levels of nesting, also through aliases.
    pub depth: usize,
    /// Bytes that all aliases of one document may add.
    pub alias_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 256, alias_bytes: 64 << 20 }
    }
}

/// Reads text into nodes.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// How plain scalars are understood.
    pub schema: Schema,
    /// What happens with duplicate keys.
    pub duplicates: Duplicates,
    /// Which line an error names.
    pub lines: Lines,
    /// Bounds.
    pub limits: Limits,
}

impl Reader {
    /// Reads as kustomize reads manifests; duplicate keys are errors.
    #[must_use]
    pub fn manifest() -> Self {
        Self {
            schema: Schema::Manifest,
            duplicates: Duplicates::Refuse,
            lines: Lines::Context,
            limits: Limits::default(),
        }
    }

    /// Reads as Kubernetes clients do; duplicate keys are errors.
    #[must_use]
    pub fn yaml11() -> Self {
        Self {
            schema: Schema::Yaml11,
            duplicates: Duplicates::Refuse,
            lines: Lines::Context,
            limits: Limits::default(),
        }
    }

    /// Lets the last of several equal keys win.
    #[must_use]
    pub fn last_wins(mut self) -> Self {
        self.duplicates = Duplicates::LastWins;
        self
    }

    pub(crate) fn refuses_duplicates(&self) -> bool {
        self.duplicates == Duplicates::Refuse
    }

    /// Reads the first document of `text` and ignores what follows it; `None` if there is none.
    ///
    /// # Errors
    /// Anything that is not YAML up to the end of that document.
    pub fn first(&self, text: &str) -> Result<Option<Node>, Error> {
        self.first_noting(text, &mut Vec::new())
    }

    /// As [`Reader::first`]; `notices` gets what is accepted, and yet seldom meant.
    ///
    /// # Errors
    /// As [`Reader::first`].
    pub fn first_noting(&self, text: &str, notices: &mut Vec<Notice>) -> Result<Option<Node>, Error> {
        let mut builder = Builder::new(self);
        Input::new(text).events(self.lines, |event| match event.data {
            EventData::StreamEnd | EventData::DocumentEnd { .. } => Ok(false),
            EventData::DocumentStart { version_directive: Some(version), .. }
                if (version.major, version.minor) != (1, 1) =>
            {
                Err(Error::new(1, "found incompatible YAML document"))
            }
            EventData::StreamStart { .. } | EventData::DocumentStart { .. } => Ok(true),
            _ => builder.event(event).map(|()| true),
        })?;
        notices.append(&mut builder.notices);
        builder.take_root()
    }
}

/// How much was read, and how much of it came from aliases.
#[derive(Default, Clone, Copy)]
struct Budget {
    nodes: usize,
    alias_nodes: usize,
    alias_bytes: usize,
}

/// Nodes, bytes and levels of a subtree.
#[derive(Default, Clone, Copy)]
struct Size {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

enum Anchored {
    /// The node is still being read: an alias to it would contain itself.
    Open,
    Done(Node, Size),
}

struct Frame {
    anchor: Option<String>,
    size: Size,
    content: Content,
    /// Whether it is inside `{}` or `[]`.
    flow: bool,
}

enum Content {
    Seq(Vec<Node>),
    Map(MapFrame),
}

#[derive(Default)]
struct MapFrame {
    map: Mapping,
    /// Line of each key, in the order of the map: for duplicates.
    lines: Vec<usize>,
    /// The places of the keys, once there are many.
    places: HashMap<String, usize>,
    /// The key whose value comes next.
    key: Option<Key>,
    /// The values of `<<`.
    merges: Vec<Node>,
}

struct Key {
    text: String,
    line: usize,
    merge: bool,
    /// What JSON does not have: the key's type and itself, as Go prints them.
    unsupported: Option<String>,
}

impl MapFrame {
    /// Keys up to which they are compared one by one.
    const FEW: usize = 12;

    /// The place of a key.
    fn find(&mut self, key: &str) -> Option<usize> {
        if self.map.len() <= Self::FEW {
            return self.map.iter().position(|(known, _)| known == key);
        }
        for (place, (known, _)) in self.map.iter().enumerate().skip(self.places.len()) {
            self.places.insert(known.to_owned(), place);
        }
        self.places.get(key).copied()
    }
}

/// Makes nodes of events.
pub(crate) struct Builder<'r> {
    reader: &'r Reader,
    frames: Vec<Frame>,
    anchors: HashMap<String, Anchored>,
    root: Option<Node>,
    budget: Budget,
    notices: Vec<Notice>,
    /// The first key that JSON cannot have. What is no YAML goes before it, wherever it stands.
    unsupported: Option<Error>,
}

impl<'r> Builder<'r> {
    pub(crate) fn new(reader: &'r Reader) -> Self {
        Self {
            reader,
            frames: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            budget: Budget::default(),
            notices: Vec::new(),
            unsupported: None,
        }
    }

    /// The node, once its last event has come.
    ///
    /// # Errors
    /// Where it has a key that JSON cannot have.
    pub(crate) fn take_root(&mut self) -> Result<Option<Node>, Error> {
        let root = self.root.take();
        if root.is_some()
            && let Some(error) = self.unsupported.take()
        {
            Err(error)
        } else {
            Ok(root)
        }
    }

    /// Whether the next event begins a value.
    pub(crate) fn is_idle(&self) -> bool {
        self.frames.is_empty()
    }

    pub(crate) fn event(&mut self, event: Event) -> Result<(), Error> {
        let line = usize::try_from(event.start_mark.line).unwrap_or(usize::MAX - 1) + 1;
        match event.data {
            EventData::Scalar { anchor, tag, value, style, .. } => {
                self.scalar(line, anchor, tag, value, style)
            }
            EventData::Alias { anchor } => self.alias(line, &anchor),
            EventData::SequenceStart { anchor, style, .. } => {
                let flow = style == SequenceStyle::Flow;
                self.open(line, anchor, Content::Seq(Vec::new()), flow)
            }
            EventData::MappingStart { anchor, style, .. } => {
                let flow = style == MappingStyle::Flow;
                self.open(line, anchor, Content::Map(MapFrame::default()), flow)
            }
            EventData::SequenceEnd | EventData::MappingEnd => self.close(line),
            _ => Ok(()),
        }
    }

    fn open(
        &mut self,
        line: usize,
        anchor: Option<String>,
        content: Content,
        flow: bool,
    ) -> Result<(), Error> {
        let flow = flow || self.frames.last().is_some_and(|frame| frame.flow);
        let depth = self.frames.len() + 1;
        if depth > self.reader.limits.depth {
            return Err(Error::new(line, format!("exceeded max depth of {}", self.reader.limits.depth)));
        }
        if let Some(anchor) = &anchor {
            self.anchors.insert(anchor.clone(), Anchored::Open);
        }
        self.frames.push(Frame { anchor, size: Size { nodes: 1, bytes: 64, depth: 1 }, content, flow });
        Ok(())
    }

    fn close(&mut self, line: usize) -> Result<(), Error> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let node = match frame.content {
            Content::Seq(items) => Node::Seq(items),
            Content::Map(content) => Node::Map(merged(content, line)?),
        };
        self.finish(line, frame.anchor, node, frame.size)
    }

    fn scalar(
        &mut self,
        line: usize,
        anchor: Option<String>,
        tag: Option<String>,
        text: String,
        style: ScalarStyle,
    ) -> Result<(), Error> {
        let plain = style == ScalarStyle::Plain;
        let style = if plain { Style::Plain } else { Style::Quoted };
        if self.wants_key() {
            let merge = plain && tag.is_none() && text == "<<";
            let quoted = tag.is_some_and(|tag| tag.ends_with(":str"));
            return self.key(line, anchor, text, if quoted { Style::Quoted } else { style }, merge);
        }
        let mut scalar = self.tagged(line, tag.as_deref(), text, style)?;
        if scalar.tag == Tag::Int && notice::is_large(&scalar.text) {
            self.notices.push(Notice { line, what: What::LargeInteger(scalar.text.clone()) });
        }
        let flow = self.frames.last().is_some_and(|frame| frame.flow);
        if flow && scalar.style == Style::Plain && self.reader.schema == Schema::Manifest {
            scalar.style = Style::Flow;
        }
        let size = Size { nodes: 1, bytes: 64 + scalar.text.len(), depth: 0 };
        self.finish(line, anchor, Node::Scalar(scalar), size)
    }

    fn tagged(&self, line: usize, tag: Option<&str>, text: String, style: Style) -> Result<Scalar, Error> {
        let implied =
            if style == Style::Plain { resolve::classify(&text, self.reader.schema) } else { Tag::Str };
        let Some(tag) = tag else { return Ok(Scalar { text, tag: implied, style }) };
        let wanted = match tag.strip_prefix("tag:yaml.org,2002:") {
            Some("null") => Tag::Null,
            Some("bool") => Tag::Bool,
            Some("int") => Tag::Int,
            Some("float") => Tag::Float,
            Some("timestamp") => Tag::Timestamp,
            Some("binary") => {
                let text = binary(&text)
                    .ok_or_else(|| Error::new(line, "!!binary value contains invalid base64 data"))?;
                return Ok(Scalar { text, tag: Tag::Str, style: Style::Quoted });
            }
            _ => Tag::Str,
        };
        let actual = resolve::classify(&text, self.reader.schema);
        let fits = wanted == Tag::Str || wanted == actual || (wanted == Tag::Float && actual == Tag::Int);
        if !fits {
            return Err(Error::new(
                line,
                format!("cannot decode {} `{text}` as a {}", actual.name(), wanted.name()),
            ));
        }
        // A tagged text stays a text even where its plain form would read as something else.
        Ok(Scalar { text, tag: wanted, style: if wanted == Tag::Str { Style::Quoted } else { style } })
    }

    fn wants_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { content: Content::Map(MapFrame { key: None, .. }), .. }))
    }

    fn key(
        &mut self,
        line: usize,
        anchor: Option<String>,
        text: String,
        style: Style,
        merge: bool,
    ) -> Result<(), Error> {
        let typed = self.reader.schema == Schema::Yaml11 && style == Style::Plain;
        let tag = if typed { resolve::classify(&text, Schema::Yaml11) } else { Tag::Str };
        if let Some(anchor) = anchor {
            let size = Size { nodes: 1, bytes: 64 + text.len(), depth: 0 };
            let node = Node::Scalar(Scalar { text: text.clone(), tag, style });
            self.anchors.insert(anchor, Anchored::Done(node, size));
        }
        if tag == Tag::Bool && resolve::is_old_bool(&text) {
            self.notices.push(Notice { line, what: What::BooleanKey(text.clone()) });
        }
        let (text, unsupported) = key::of(text, tag);
        if let Some(Frame { content: Content::Map(frame), size, .. }) = self.frames.last_mut() {
            size.bytes += text.len();
            frame.key = Some(Key { text, line, merge, unsupported });
        }
        Ok(())
    }

    fn alias(&mut self, line: usize, anchor: &str) -> Result<(), Error> {
        let (node, size) = match self.anchors.get(anchor) {
            None => return Err(Error::new(line, format!("unknown anchor '{anchor}' referenced"))),
            Some(Anchored::Open) => {
                return Err(Error::new(line, format!("anchor '{anchor}' value contains itself")));
            }
            Some(Anchored::Done(node, size)) => (node, *size),
        };
        self.budget.alias_nodes += size.nodes;
        self.budget.alias_bytes += size.bytes;
        if self.budget.alias_bytes > self.reader.limits.alias_bytes || excessive(self.budget, size.nodes) {
            return Err(Error::new(line, "document contains excessive aliasing"));
        }
        if self.frames.len() + size.depth > self.reader.limits.depth {
            return Err(Error::new(line, format!("exceeded max depth of {}", self.reader.limits.depth)));
        }
        let node = node.clone();
        if self.wants_key() {
            return match node {
                Node::Scalar(scalar) => self.key(line, None, scalar.text, scalar.style, false),
                other => Err(self.no_key(line, &other)),
            };
        }
        self.finish(line, None, node, size)
    }

    /// Puts a complete node into what it is part of.
    fn finish(&mut self, line: usize, anchor: Option<String>, node: Node, size: Size) -> Result<(), Error> {
        self.budget.nodes += 1;
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, Anchored::Done(node.clone(), size));
        }
        if self.wants_key() {
            return Err(self.no_key(line, &node));
        }
        let Some(parent) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.size.nodes += size.nodes;
        parent.size.bytes += size.bytes;
        parent.size.depth = parent.size.depth.max(size.depth + 1);
        let frame = match &mut parent.content {
            Content::Seq(items) => {
                items.push(node);
                return Ok(());
            }
            Content::Map(frame) => frame,
        };
        let Some(key) = frame.key.take() else { return Ok(()) }; // wanted a key, see above
        if key.merge {
            if !frame.merges.is_empty() && self.reader.duplicates == Duplicates::Refuse {
                return Err(Error::new(key.line, "duplicate merge key"));
            }
            frame.merges.push(node);
            return Ok(());
        }
        if let Some(unsupported) = key.unsupported
            && self.unsupported.is_none()
        {
            let value = key::go_syntax(&node, true);
            let message = format!("unsupported map key of type: {unsupported}, value: {value}");
            self.unsupported = Some(Error::conversion(key.line, message));
        }
        let Some(place) = frame.find(&key.text) else {
            frame.lines.push(key.line);
            frame.map.push(key.text, node);
            return Ok(());
        };
        let first = frame.lines.get(place).copied().unwrap_or_default();
        if self.reader.duplicates == Duplicates::Refuse {
            let message = format!("mapping key \"{}\" already defined at line {first}", key.text);
            return Err(Error::decoding(key.line, message));
        }
        self.notices
            .push(Notice { line: key.line, what: What::DuplicateKey { key: key.text.clone(), first } });
        if let Some(line) = frame.lines.get_mut(place) {
            *line = key.line;
        }
        frame.map.insert(key.text, node);
        Ok(())
    }

    /// The error for a map or a list in the place of a key.
    fn no_key(&self, line: usize, node: &Node) -> Error {
        match self.reader.schema {
            Schema::Manifest => Error::new(line, "invalid map key: a map or list cannot be a key"),
            Schema::Yaml11 => Error::new(line, format!("invalid map key: {}", key::go_syntax(node, true))),
        }
    }
}

/// Go's test for alias bombs: many nodes, nearly all of them out of aliases.
fn excessive(budget: Budget, adding: usize) -> bool {
    let total = budget.nodes + budget.alias_nodes;
    let allowed = if total <= 400_000 {
        0.99
    } else if total >= 4_000_000 {
        0.10
    } else {
        #[expect(clippy::cast_precision_loss, reason = "a ratio needs no precision")]
        let above = (total - 400_000) as f64 / 3_600_000.0;
        0.99 - 0.89 * above
    };
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no precision")]
    let ratio = budget.alias_nodes as f64 / total as f64;
    adding > 0 && budget.alias_nodes > 100 && total > 1000 && ratio > allowed
}

/// Applies the `<<` values: own keys win, then earlier ones.
fn merged(frame: MapFrame, line: usize) -> Result<Mapping, Error> {
    const WRONG: &str = "map merge requires map or sequence of maps as the value";
    let MapFrame { mut map, merges, .. } = frame;
    for merge in merges {
        let sources = match merge {
            Node::Seq(items) => items,
            one => vec![one],
        };
        for source in sources {
            let Node::Map(source) = source else { return Err(Error::new(line, WRONG)) };
            for (key, value) in source {
                if !map.contains_key(&key) {
                    map.push(key, value);
                }
            }
        }
    }
    Ok(map)
}

fn binary(text: &str) -> Option<String> {
    node::decode_base64(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
