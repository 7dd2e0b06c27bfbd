//! Networks as ONNX, for programs without libtorch.
//!
//! ```text
//! obs ── Cast ── Sub (means of pixels) ── Conv ── Relu ── … ── Gemm ──► logits, value   or   action_values
//! hidden, cell ────────────────────────────────────┘ with an LSTM  ──► hidden_out, cell_out
//! ```
//!
//! The messages are the parts of `onnx.proto` (<https://github.com/onnx/onnx>) that such networks need.

use coinop_envs::normalize::Normalization;
use prost::Message;
use tch::{Kind, TchError, Tensor};

/// The version of the operators: the first with layer normalisation.
pub const OPSET: i64 = 17;

/// The version of the format that goes with it.
const IR_VERSION: i64 = 8;

/// `TensorProto.DataType`.
const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT64: i32 = 7;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OpsetId>,
    #[prost(message, repeated, tag = "14")]
    metadata: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct OpsetId {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Values>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, optional, tag = "2")]
    f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    /// `AttributeType`: 1 is a float, 2 an integer, 7 integers.
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Values {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<ShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct ShapeProto {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dim>,
}

/// A length, or the name of one that varies.
#[derive(Clone, PartialEq, Message)]
struct Dim {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
}

fn attribute(name: &str, kind: i32) -> Attribute {
    Attribute {
        name: name.to_owned(),
        kind,
        ..Attribute::default()
    }
}

/// An attribute of a node.
pub(super) fn int(name: &str, value: i64) -> AttributeOf {
    AttributeOf(Attribute {
        i: Some(value),
        ..attribute(name, 2)
    })
}

pub(super) fn float(name: &str, value: f64) -> AttributeOf {
    AttributeOf(Attribute {
        f: Some(value as f32),
        ..attribute(name, 1)
    })
}

pub(super) fn ints(name: &str, values: &[i64]) -> AttributeOf {
    AttributeOf(Attribute {
        ints: values.to_vec(),
        ..attribute(name, 7)
    })
}

pub(super) struct AttributeOf(Attribute);

/// What a node computes, by its name.
pub(super) type Name = String;

/// What is computed of a batch of observations: pictures `[n, channels, height, width]`, or rows.
#[derive(Clone)]
pub(super) struct Computed {
    pub(super) name: Name,
    pub(super) is_picture: bool,
}

/// A graph that is being built.
pub(super) struct Graph {
    proto: GraphProto,
    nodes: usize,
}

impl Graph {
    pub(super) fn new() -> Self {
        Self {
            proto: GraphProto {
                name: "agent".to_owned(),
                ..GraphProto::default()
            },
            nodes: 0,
        }
    }

    fn info(name: &str, elem_type: i32, dims: &[usize]) -> ValueInfo {
        let batch = Dim {
            value: None,
            name: Some("n".to_owned()),
        };
        let fixed = dims.iter().map(|&dim| Dim {
            value: Some(dim as i64),
            name: None,
        });
        ValueInfo {
            name: name.to_owned(),
            kind: Some(TypeProto {
                tensor: Some(TensorType {
                    elem_type,
                    shape: Some(ShapeProto {
                        dim: std::iter::once(batch).chain(fixed).collect(),
                    }),
                }),
            }),
        }
    }

    /// Adds an input `[n, dims…]`.
    pub(super) fn input(&mut self, name: &str, is_pixels: bool, dims: &[usize]) -> Name {
        let kind = if is_pixels { UINT8 } else { FLOAT };
        self.proto.input.push(Self::info(name, kind, dims));
        name.to_owned()
    }

    /// Makes what `from` names an output `[n, dims…]`.
    pub(super) fn output(&mut self, name: &str, from: &Name, dims: &[usize]) {
        self.proto.node.push(Node {
            input: vec![from.clone()],
            output: vec![name.to_owned()],
            name: format!("output_{name}"),
            op_type: "Identity".to_owned(),
            attribute: Vec::new(),
        });
        self.proto.output.push(Self::info(name, FLOAT, dims));
    }

    /// Adds a node with one output.
    pub(super) fn node(&mut self, op: &str, inputs: &[&Name], attributes: Vec<AttributeOf>) -> Name {
        let [out] = self.nodes_of(op, inputs, attributes);
        out
    }

    /// Adds a node with `N` outputs.
    pub(super) fn nodes_of<const N: usize>(
        &mut self,
        op: &str,
        inputs: &[&Name],
        attributes: Vec<AttributeOf>,
    ) -> [Name; N] {
        self.nodes += 1;
        let name = format!("{}_{}", op.to_lowercase(), self.nodes);
        let outputs = std::array::from_fn(|i| if N == 1 { name.clone() } else { format!("{name}_{i}") });
        self.proto.node.push(Node {
            input: inputs.iter().map(|&input| input.clone()).collect(),
            output: outputs.to_vec(),
            name,
            op_type: op.to_owned(),
            attribute: attributes.into_iter().map(|AttributeOf(attribute)| attribute).collect(),
        });
        outputs
    }

    fn add(&mut self, data_type: i32, dims: Vec<i64>, raw_data: Vec<u8>) -> Name {
        let name = format!("constant_{}", self.proto.initializer.len() + 1);
        self.proto.initializer.push(Values {
            dims,
            data_type,
            name: name.clone(),
            raw_data,
        });
        name
    }

    /// Adds the values of a tensor.
    pub(super) fn constant(&mut self, values: &Tensor) -> Result<Name, TchError> {
        let values = values
            .f_detach()?
            .f_to_device(tch::Device::Cpu)?
            .f_to_kind(Kind::Float)?
            .f_contiguous()?;
        let mut numbers = vec![0.0f32; values.numel()];
        values.f_copy_data(&mut numbers, values.numel())?;
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Ok(self.add(FLOAT, values.size(), bytes))
    }

    /// Adds numbers that say how, not what: lengths and axes.
    pub(super) fn lengths(&mut self, values: &[i64]) -> Name {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.add(INT64, vec![values.len() as i64], bytes)
    }

    /// Adds a number.
    pub(super) fn number(&mut self, value: f64) -> Name {
        self.add(FLOAT, Vec::new(), (value as f32).to_le_bytes().to_vec())
    }

    /// Encodes the model; `about` is what its metadata says.
    pub(super) fn finish(self, about: &[(String, String)]) -> Vec<u8> {
        let entry = |(key, value): &(String, String)| Entry {
            key: key.clone(),
            value: value.clone(),
        };
        Model {
            ir_version: IR_VERSION,
            producer_name: "coinop".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.proto),
            opset_import: vec![OpsetId {
                domain: String::new(),
                version: OPSET,
            }],
            metadata: about.iter().map(entry).collect(),
        }
        .encode_to_vec()
    }
}

/// Adds how an environment normalises observations before a network reads them.
pub(super) fn normalized(graph: &mut Graph, obs: &Name, by: &Normalization) -> Result<Name, TchError> {
    let mean = graph.constant(&Tensor::f_from_slice(&by.mean)?)?;
    let deviation = graph.constant(&Tensor::f_from_slice(&by.deviation)?)?;
    let x = graph.node("Sub", &[obs, &mean], Vec::new());
    let x = graph.node("Div", &[&x, &deviation], Vec::new());
    let (low, high) = (graph.number((-by.clip).into()), graph.number(by.clip.into()));
    Ok(graph.node("Clip", &[&x, &low, &high], Vec::new()))
}
