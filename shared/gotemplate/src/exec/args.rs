//! Arguments: evaluated for the type that a parameter wants.

use super::{Machine, frames::Held};
use crate::{
    error::{Error, Stop},
    parse::{Id, NodeKind, Number, Template},
    stack,
    value::{Kind, Type, Value},
};

impl<'r> Machine<'r> {
    /// An argument for a parameter of type `want`.
    pub(super) fn arg(&mut self, template: &'r Template, id: Id, want: Type) -> Result<Value, Error> {
        self.at = id;
        let value = match &template.node(id).kind {
            NodeKind::Dot => self.dot().value,
            NodeKind::Nil => {
                return match want {
                    Type::Reflect => Ok(Value::Absent),
                    _ if want.can_be_nil() => Ok(Value::zero(want)),
                    _ => Err(self.error(format!("cannot assign nil to {want}"))),
                };
            }
            NodeKind::Field { .. }
            | NodeKind::Variable { .. }
            | NodeKind::Function(_)
            | NodeKind::Chain { .. }
            | NodeKind::Pipe { .. } => self.operand(template, id)?.value,
            NodeKind::Bool(_) | NodeKind::Number { .. } | NodeKind::String(_) => {
                return self.literal(template, id, want);
            }
            NodeKind::Command { .. } | NodeKind::Template { .. } => Value::Absent,
        };
        self.convert(value, want)
    }

    /// A node that has to be evaluated, without arguments.
    pub(super) fn operand(&mut self, template: &'r Template, id: Id) -> Result<Held, Error> {
        match &template.node(id).kind {
            NodeKind::Field { .. } => self.field_node(template, id, &[], None),
            NodeKind::Variable { .. } => self.variable_node(template, id, &[], None),
            NodeKind::Chain { .. } => self.chain_node(template, id, &[], None),
            NodeKind::Function(index) => {
                self.at = id;
                let function = &template.functions[*index as usize];
                let value = self.call_function(template, function, id, &[], None)?;
                Ok(Held { value, boxed: false })
            }
            _ => {
                if !stack::has_room() {
                    return Err(Stop::Depth.into());
                }
                let value = self.pipeline(template, id)?;
                Ok(Held { value, boxed: false })
            }
        }
    }

    /// Lets a computed value pass where `want` is wanted. Nothing is converted, as in Go.
    pub(super) fn convert(&self, value: Value, want: Type) -> Result<Value, Error> {
        match (want, &value) {
            (Type::Reflect, _) => return Ok(value),
            (Type::Any, Value::Absent) => return Ok(Value::Nil),
            (Type::Any, _) => return Ok(value),
            (Type::String, Value::String(_)) => return Ok(value),
            // Behind the parameter the map has the parameter's type.
            (Type::Map(go_type), Value::Map(map)) if Type::Map(map.map_type()).assignable_to(want) => {
                return Ok(Value::Map(map.viewed_as(go_type)));
            }
            (_, Value::Absent) if want.can_be_nil() => return Ok(Value::zero(want)),
            (_, Value::Absent) => return Err(self.error(format!("invalid value; expected {want}"))),
            _ => {}
        }
        match value.go_type() {
            Some(of) if of.assignable_to(want) => Ok(value),
            Some(of) => Err(self.error(format!("wrong type for value; expected {want}; got {of}"))),
            None => Err(self.error(format!("wrong type for value; expected {want}; got interface {{}}"))),
        }
    }

    /// A literal as the type that the parameter wants.
    fn literal(&self, template: &Template, id: Id, want: Type) -> Result<Value, Error> {
        let kind = &template.node(id).kind;
        let number = match kind {
            NodeKind::Number { index, .. } => template.numbers[*index as usize],
            _ => Number::default(),
        };
        let (value, expected) = match want.kind() {
            Kind::Interface => return self.constant(template, id),
            _ if want == Type::Reflect => return self.constant(template, id),
            Kind::Bool => match kind {
                NodeKind::Bool(b) => (Some(Value::Bool(*b)), "bool"),
                _ => (None, "bool"),
            },
            Kind::String => match kind {
                NodeKind::String(index) => {
                    (Some(Value::string(&*template.strings[*index as usize].value)), "string")
                }
                _ => (None, "string"),
            },
            Kind::Int => (number.int.map(Value::Int), "integer"),
            Kind::Int64 => (number.int.map(Value::Int64), "integer"),
            Kind::Uint8 => (number.uint.map(|n| Value::Uint8(n as u8)), "unsigned integer"),
            Kind::Uint32 => (number.uint.map(|n| Value::Uint32(n as u32)), "unsigned integer"),
            Kind::Uint64 => (number.uint.map(Value::Uint64), "unsigned integer"),
            Kind::Float64 => (number.float.map(Value::Float), "float"),
            Kind::Complex128 => (number.complex.map(|(re, im)| Value::Complex(re, im)), "complex"),
            _ => {
                let shown = template.show(id);
                return Err(self.error(format!("can't handle {shown} for arg of type {want}")));
            }
        };
        value.ok_or_else(|| self.error(format!("expected {expected}; found {}", template.show(id))))
    }

    /// A literal where any type will do: the way it is written decides.
    pub(super) fn constant(&self, template: &Template, id: Id) -> Result<Value, Error> {
        Ok(match &template.node(id).kind {
            NodeKind::Bool(b) => Value::Bool(*b),
            NodeKind::String(index) => Value::string(&*template.strings[*index as usize].value),
            NodeKind::Number { index, .. } => match template.numbers[*index as usize] {
                Number { complex: Some((re, im)), .. } => Value::Complex(re, im),
                Number { written_as_float: true, float: Some(x), .. } => Value::Float(x),
                Number { int: Some(n), .. } => Value::Int(n),
                _ => return Err(self.error(format!("{} overflows int", template.show(id)))),
            },
            _ => Value::Absent,
        })
    }
}
