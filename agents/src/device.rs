//! Devices, and the number of threads that libtorch uses.

use std::error::Error;
use std::sync::OnceLock;

use libloading::Library;
use tch::kind::Element;
use tch::{Cuda, Device, TchError, Tensor};

use crate::AgentError;

/// Parses a device name: `cpu`, `cuda`, or `cuda:1`.
///
/// For a GPU, this loads libtorch's CUDA library, which programs are not linked to. Call it before any other use of
/// libtorch.
///
/// ```
/// use coinop_agents::{Device, device};
///
/// assert_eq!(device("cpu")?, Device::Cpu);
/// assert!(device("cup").is_err());
/// # Ok::<(), coinop_agents::AgentError>(())
/// ```
///
/// # Errors
///
/// [`AgentError::Device`] if there is no such device; the message lists those that exist.
pub fn device(name: &str) -> Result<Device, AgentError> {
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "cuda" => Some(0),
        _ => name.strip_prefix("cuda:").and_then(|index| index.parse::<usize>().ok()),
    };
    let Some(index) = index else {
        return Err(AgentError::Device(format!(
            "there is no device `{name}`: use `cpu`, `cuda` or `cuda:0`"
        )));
    };
    let absent = |why: &str| Err(AgentError::Device(format!("`{name}` is not there: {why}")));
    if let Err(error) = load_cuda() {
        return absent(&format!(
            "a libtorch with CUDA is needed, named by LIBTORCH when this is built ({error}); use `cpu`"
        ));
    }
    match Cuda::device_count() {
        count if (index as i64) < count => Ok(Device::Cuda(index)),
        0 => absent("libtorch sees no GPU, or no driver of one; use `cpu`"),
        count => absent(&format!("libtorch sees {count} CUDA devices, counted from 0")),
    }
}

/// Loads libtorch's CUDA library.
///
/// Linkers drop a library that nothing refers to, and this one works by registering itself. Loading it on demand,
/// from the folder of libtorch, saves all other programs hundreds of megabytes and seconds.
fn load_cuda() -> Result<(), String> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    let load = || {
        // SAFETY: its initialisers only register operations with the loaded libtorch, which they may do at any time.
        match unsafe { Library::new(libloading::library_filename("torch_cuda")) } {
            Ok(library) => {
                // It stays.
                std::mem::forget(library);
                Ok(())
            }
            // What the system says is in the source of the error.
            Err(error) => Err(error.source().map_or_else(|| error.to_string(), ToString::to_string)),
        }
    };
    LOADED.get_or_init(load).clone()
}

/// Sets the number of threads that libtorch uses.
///
/// Results on the CPU can depend on it, so a run is reproducible bit for bit only with the same number.
///
/// ```
/// coinop_agents::set_torch_threads(1);
/// ```
pub fn set_torch_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
}

/// Copies numbers to a device as a tensor of the given size. A GPU reads them asynchronously from pinned memory,
/// which libtorch keeps until the copy is complete and then reuses.
pub(crate) fn upload<T: Element>(numbers: &[T], size: &[i64], device: Device) -> Result<Tensor, TchError> {
    assert_eq!(
        size.iter().product::<i64>(),
        numbers.len() as i64,
        "numbers of a tensor"
    );
    if device == Device::Cpu {
        return Tensor::f_from_slice(numbers)?.f_view(size);
    }
    let mut strides = vec![1; size.len()];
    for i in (1..size.len()).rev() {
        strides[i - 1] = strides[i] * size[i];
    }
    // SAFETY: there are as many numbers of that kind, one after another, as was found above. The tensor is only read, and only in the next line, which
    // copies it before it returns.
    let view = unsafe { Tensor::f_from_blob(numbers.as_ptr().cast(), size, &strides, T::KIND, Device::Cpu)? };
    view.f_internal_pin_memory(device)?
        .f_to_dtype_layout((T::KIND, device), true, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_devices_are_refused_with_a_list() {
        assert_eq!(device("cpu").unwrap(), Device::Cpu);
        for name in ["gpu", "cuda:x", "cuda:999", "CPU", ""] {
            assert!(device(name).is_err(), "{name}");
        }
        assert_eq!(
            device("gpu").unwrap_err().to_string(),
            "there is no device `gpu`: use `cpu`, `cuda` or `cuda:0`"
        );
        let error = device("cuda:999").unwrap_err().to_string();
        assert!(error.starts_with("`cuda:999` is not there: "), "{error}");
    }
}
