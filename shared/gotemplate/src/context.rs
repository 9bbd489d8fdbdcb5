//! What a render may use, and what a function can reach: the executing template set, limits, the caller's own data.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use crate::{
    error::{Error, Stop},
    parse::Parsed,
    set::Scope,
    value::{Map, Str, Value, WeakMap},
};

/// Limits and switches of a render. The defaults suit charts of any size and stop what no chart needs.
#[derive(Debug, Clone)]
pub struct Options {
    /// What a missing map entry is: its zero value, or an error (`missingkey=error`, Helm's strict mode).
    pub strict: bool,
    /// Helm's lint mode: `required` and `fail` pass.
    pub lint: bool,
    /// Bytes of text that may be produced, by output and by functions together. 1 GiB.
    pub max_output: usize,
    /// Actions, calls and iterations. 1 billion, which is minutes.
    pub max_steps: u64,
    /// Items of a list, range or repetition that one function makes. 10 million.
    pub max_items: usize,
    /// How often a template may be included (or `tpl` be called) within itself. 1000, as in Helm.
    pub max_include_depth: usize,
    /// How deeply `template` actions may nest. 100,000, as in Go.
    pub max_template_depth: usize,
    /// When to give up.
    pub deadline: Option<Instant>,
    /// Set by another thread to give up.
    pub canceled: Option<Arc<AtomicBool>>,
    /// Makes the random functions repeatable: for tests only. None takes the system's secure source.
    pub seed: Option<u64>,
    /// Whether `getHostByName` may ask the resolver.
    pub dns: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            strict: false,
            lint: false,
            max_output: 1 << 30,
            max_steps: 1_000_000_000,
            max_items: 10_000_000,
            max_include_depth: 1000,
            max_template_depth: 100_000,
            deadline: None,
            canceled: None,
            seed: None,
            dns: false,
        }
    }
}

/// One render: its limits are counted over all templates that it executes, and values made in it end with it.
pub struct Session<'a> {
    options: Options,
    host: Option<&'a dyn Any>,
    steps: Cell<u64>,
    output: Cell<usize>,
    pub(crate) includes: RefCell<HashMap<Str, usize>>,
    pub(crate) tpl_depth: Cell<usize>,
    /// The texts of `tpl`, compiled.
    pub(crate) texts: RefCell<HashMap<Str, Arc<Parsed>>>,
    cycles: RefCell<Vec<WeakMap>>,
}

impl<'a> Session<'a> {
    /// A render with these options. `host` is the caller's own data for its functions, see [`Context::host`].
    pub fn new(options: Options, host: Option<&'a dyn Any>) -> Self {
        Self {
            options,
            host,
            steps: Cell::new(0),
            output: Cell::new(0),
            includes: RefCell::default(),
            tpl_depth: Cell::new(0),
            texts: RefCell::default(),
            cycles: RefCell::default(),
        }
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Counts a step. Time and cancellation are looked at every 1024 steps.
    #[inline]
    pub(crate) fn step(&self) -> Result<(), Error> {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps & 1023 == 0 { self.look_up(steps) } else { Ok(()) }
    }

    #[cold]
    fn look_up(&self, steps: u64) -> Result<(), Error> {
        if steps > self.options.max_steps {
            return Err(Stop::Steps(self.options.max_steps).into());
        }
        if self.options.canceled.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(Stop::Canceled.into());
        }
        if self.options.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err(Stop::Deadline.into());
        }
        Ok(())
    }

    /// Counts bytes of text.
    #[inline]
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), Error> {
        let output = self.output.get().saturating_add(bytes);
        self.output.set(output);
        if output > self.options.max_output {
            return Err(Stop::Output(self.options.max_output).into());
        }
        Ok(())
    }

    /// Remembers a map that may come to hold itself.
    fn remember(&self, map: &Map) {
        let mut cycles = self.cycles.borrow_mut();
        if cycles.last().is_some_and(|last| last.is(map)) {
            return;
        }
        // Forget those that are gone, whenever their number has doubled.
        if cycles.len() >= 1024 && cycles.len().is_power_of_two() {
            cycles.retain(WeakMap::is_alive);
        }
        cycles.push(map.downgrade());
    }

    /// Bytes of text that may still be produced.
    pub(crate) fn output_left(&self) -> usize {
        self.options.max_output.saturating_sub(self.output.get())
    }
}

impl Drop for Session<'_> {
    /// A map that holds itself is never freed by counting references: empty what could be one.
    fn drop(&mut self) {
        for map in self.cycles.take() {
            map.clear();
        }
    }
}

/// What a function gets besides its arguments.
pub struct Context<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) scope: &'a Scope<'a>,
}

impl Context<'_> {
    /// The options of the render.
    pub fn options(&self) -> &Options {
        &self.session.options
    }

    /// The caller's own data of type `T`, given to [`Session::new`].
    pub fn host<T: 'static>(&self) -> Option<&T> {
        self.session.host?.downcast_ref()
    }

    /// Fails if a function is about to make more than the allowed number of items. To be asked before memory is taken.
    ///
    /// # Errors
    /// [`Stop::Items`].
    pub fn check_items(&self, items: usize) -> Result<(), Error> {
        if items > self.options().max_items {
            return Err(Stop::Items(self.options().max_items).into());
        }
        Ok(())
    }

    /// Counts text that a function is about to make out of little (`repeat`, `indent`, `replace`). To be called before
    /// memory is taken.
    ///
    /// # Errors
    /// [`Stop::Output`].
    pub fn charge(&self, bytes: usize) -> Result<(), Error> {
        self.session.charge(bytes)
    }

    /// Counts a step of a function that loops, and looks at time and cancellation now and then.
    ///
    /// # Errors
    /// [`Stop::Steps`], [`Stop::Deadline`], [`Stop::Canceled`].
    pub fn step(&self) -> Result<(), Error> {
        self.session.step()
    }

    /// Changes an entry of a map that a template holds. The map may come to hold itself that way (`set . "root" $`),
    /// so it is remembered and emptied at the end of the session.
    ///
    /// # Errors
    /// The map is nil: Go's message.
    pub fn set(&self, map: &Map, key: impl Into<Str>, value: Value) -> Result<(), Error> {
        if map.is_nil() {
            return Err(Error::message("assignment to entry in nil map"));
        }
        if matches!(value, Value::Map(_) | Value::List(_) | Value::Object(_)) {
            self.session.remember(map);
        }
        map.insert(key, value);
        Ok(())
    }

    /// The text of a value as `%v` prints it (`toString`, `quote`, `join`).
    ///
    /// # Errors
    /// [`Stop`]: too long, or nested too deeply (or in itself).
    pub fn text(&self, value: &Value) -> Result<Str, Error> {
        if let Value::String(text) = value {
            return Ok(text.clone());
        }
        self.sprint(std::slice::from_ref(value))
    }

    /// Go's `fmt.Sprint`: a blank between two values of which neither is a string.
    ///
    /// # Errors
    /// As [`Context::text`].
    pub fn sprint(&self, values: &[Value]) -> Result<Str, Error> {
        let mut out = Vec::new();
        crate::fmt::print(&mut out, values, self.session.output_left())?;
        self.charge(out.len())?;
        Ok(out.into())
    }

    /// Go's `fmt.Sprintf`.
    ///
    /// # Errors
    /// As [`Context::text`].
    pub fn sprintf(&self, format: &[u8], values: &[Value]) -> Result<Str, Error> {
        let mut out = Vec::new();
        crate::fmt::printf(&mut out, format, values, self.session.output_left())?;
        self.charge(out.len())?;
        Ok(out.into())
    }

    /// Executes the template `name` of the set and returns its text, as Helm's `include`.
    ///
    /// # Errors
    /// There is no such template, it fails, or it is nested in itself too often.
    pub fn include(&self, name: &Str, data: &Value) -> Result<Str, Error> {
        crate::nested::include(self, name, data)
    }

    /// Parses `text` and executes it with the templates of the set in sight, as Helm's `tpl`.
    ///
    /// # Errors
    /// It is no template, it fails, or `tpl` is nested too often.
    pub fn tpl(&self, text: &Str, data: &Value) -> Result<Str, Error> {
        crate::nested::tpl(self, text, data)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::{Options, Session};
    use crate::{Functions, Map, Object, Set, Value, value::Kind, value::NamedType};

    /// Tells when it is dropped.
    #[derive(Debug)]
    struct Witness(Rc<Cell<bool>>);

    impl Drop for Witness {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    impl Object for Witness {
        fn go_type(&self) -> &'static NamedType {
            static TYPE: NamedType = NamedType { name: "witness", kind: Kind::Struct };
            &TYPE
        }

        fn as_any(&self) -> &dyn std::any::Any {
            self
        }
    }

    #[test]
    fn a_map_within_itself_is_freed_with_its_session() {
        let mut functions = Functions::builtin();
        functions.extend([crate::Function::new("self", &[crate::Type::MAP], |cx, args| {
            cx.set(args.map(0)?, "self", args.any(0).clone())?;
            Ok(Value::Nil)
        })]);
        let mut set = Set::new("t", std::sync::Arc::new(functions));
        assert!(set.parse("t", b"{{ $_ := self . }}").is_ok());
        let gone = Rc::new(Cell::new(false));
        let root = Map::new();
        root.insert("witness", Value::object(Witness(gone.clone())));
        let session = Session::new(Options::default(), None);
        assert!(set.execute(&session, "t", &Value::Map(root)).is_ok());
        assert!(!gone.get(), "the map holds itself");
        drop(session);
        assert!(gone.get());
    }
}
