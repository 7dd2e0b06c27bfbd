//! CUDA graphs: operations recorded once and then sent to a GPU by one call.
//!
//! An update consists of hundreds of small operations, which a GPU computes faster than a processor launches them one by
//! one. Replaying a recording launches the same operations on the same memory. So inputs are copied into tensors that
//! stay where they are, no operation may wait for a number, and numbers computed on the CPU while recording are constants.
//!
//! tch does not have them. `cuda_graph.cpp` is a C interface to libtorch's; `build.rs` compiles it if libtorch has its
//! CUDA library and CUDA's headers are there.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io::Write;
use std::ptr::{NonNull, null_mut};
use std::sync::OnceLock;

use libloading::Library;
use tch::{Device, TchError};

use crate::AgentError;

/// The compiled `cuda_graph.cpp`.
#[cfg(cuda_graphs)]
const LIBRARY: Option<&[u8]> = Some(include_bytes!(concat!(env!("OUT_DIR"), "/cuda_graph.so")));
#[cfg(not(cuda_graphs))]
const LIBRARY: Option<&[u8]> = None;

/// Recorded operations.
#[derive(Debug)]
pub(crate) struct CudaGraph {
    recorder: NonNull<c_void>,
    functions: &'static Functions,
}

// SAFETY: libtorch's graphs belong to no thread, and one thread at a time has this one.
unsafe impl Send for CudaGraph {}

impl CudaGraph {
    /// Records the operations that `operations` launches on a GPU, without executing them. Run it a few times before:
    /// libraries initialise themselves and choose their kernels when they are first used, which cannot be recorded.
    pub(crate) fn record<T>(
        device: Device,
        operations: impl FnOnce() -> Result<T, AgentError>,
    ) -> Result<(Self, T), AgentError> {
        let Device::Cuda(index) = device else {
            return Err(AgentError::Device("CUDA graphs are for a GPU".to_owned()));
        };
        let functions = functions()?;
        let mut recorder = null_mut();
        // SAFETY: it writes a recorder there, unless it returns an error.
        check(unsafe { (functions.begin)(index as c_int, &raw mut recorder) })?;
        let recorder = NonNull::new(recorder).expect("a recorder, or an error before");
        let recording = Recording(Some(Self { recorder, functions }));
        let out = operations()?;
        Ok((recording.end()?, out))
    }

    /// Launches the operations and does not wait for them.
    pub(crate) fn replay(&self) -> Result<(), AgentError> {
        // SAFETY: the recorder is there until this is dropped, and its recording has ended without an error.
        check(unsafe { (self.functions.replay)(self.recorder.as_ptr()) })
    }
}

impl Drop for CudaGraph {
    fn drop(&mut self) {
        // SAFETY: nothing uses it afterwards.
        unsafe { (self.functions.free)(self.recorder.as_ptr()) }
    }
}

/// A recording under way, which ends even if an operation fails or panics.
struct Recording(Option<CudaGraph>);

impl Recording {
    fn end(mut self) -> Result<CudaGraph, AgentError> {
        let graph = self.0.take().expect("it has not ended");
        // SAFETY: the recorder is there, and its recording has not ended.
        check(unsafe { (graph.functions.end)(graph.recorder.as_ptr()) })?;
        Ok(graph)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(graph) = &self.0 {
            // SAFETY: as in `end`. There is an error already, which this would only repeat.
            unsafe { (graph.functions.end)(graph.recorder.as_ptr()) };
        }
    }
}

/// The functions of `cuda_graph.cpp`. Those that can fail return a message or null.
#[derive(Debug)]
struct Functions {
    begin: unsafe extern "C" fn(c_int, *mut *mut c_void) -> *const c_char,
    end: unsafe extern "C" fn(*mut c_void) -> *const c_char,
    replay: unsafe extern "C" fn(*mut c_void) -> *const c_char,
    free: unsafe extern "C" fn(*mut c_void),
}

/// Returns an error if there is a message.
fn check(message: *const c_char) -> Result<(), AgentError> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: it ends with 0 and stays as it is until this thread's next call.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
    Err(TchError::Torch(message).into())
}

/// Returns an error if this program was built without CUDA graphs.
pub(crate) fn is_possible() -> Result<(), AgentError> {
    functions().map(drop)
}

fn functions() -> Result<&'static Functions, AgentError> {
    static LOADED: OnceLock<Result<Functions, String>> = OnceLock::new();
    let Some(bytes) = LIBRARY else {
        return Err(AgentError::Device(
            "cuda_graphs = true: this was built without CUDA's headers; set CUDA_HOME to the folder of a CUDA toolkit and build it again, or \
             leave cuda_graphs out"
                .to_owned(),
        ));
    };
    let loaded = LOADED.get_or_init(|| load(bytes).map_err(|error| error.to_string()));
    loaded
        .as_ref()
        .map_err(|error| AgentError::Device(format!("cuda_graphs = true: {error}; leave it out")))
}

/// Loads the library from a file of its own, since a program that was installed has lost the folder it was built in.
fn load(bytes: &[u8]) -> Result<Functions, Box<dyn std::error::Error>> {
    let mut file = tempfile::Builder::new().suffix(".so").tempfile()?;
    file.write_all(bytes)?;
    // SAFETY: `cuda_graph.cpp` has no initialisers but those of libtorch's headers, and its functions have these types.
    unsafe {
        let library = Library::new(file.path())?;
        let functions = Functions {
            begin: *library.get(b"coinop_graph_begin")?,
            end: *library.get(b"coinop_graph_end")?,
            replay: *library.get(b"coinop_graph_replay")?,
            free: *library.get(b"coinop_graph_free")?,
        };
        // It stays.
        std::mem::forget(library);
        Ok(functions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_nothing_to_record_on_the_cpu() {
        let error = CudaGraph::record(Device::Cpu, || Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "CUDA graphs are for a GPU");
    }

    #[cfg(cuda_graphs)]
    #[test]
    fn recorded_operations_are_repeated_with_the_numbers_that_are_there_by_then() {
        use tch::{Kind, Tensor};

        let Ok(device) = crate::device("cuda") else {
            // Without a GPU, libtorch says so.
            let error = CudaGraph::record(Device::Cuda(0), || Ok(())).unwrap_err();
            assert!(error.to_string().contains("CUDA error: "), "{error}");
            return;
        };
        let mut x = Tensor::zeros([3], (Kind::Float, device));
        let double = |x: &Tensor| (x * 2.0).f_add_scalar(1.0);
        let _ = double(&x).unwrap();
        let failed = CudaGraph::record(device, || {
            let _ = double(&x)?;
            Err::<(), _>(AgentError::NoWeights)
        });
        assert!(matches!(failed, Err(AgentError::NoWeights)));
        let (graph, y) = CudaGraph::record(device, || Ok(double(&x)?)).unwrap();
        for value in [1.0f32, 5.0] {
            let _ = x.fill_(f64::from(value));
            graph.replay().unwrap();
            assert_eq!(Vec::<f32>::try_from(&y).unwrap(), [2.0 * value + 1.0; 3]);
        }
    }
}
