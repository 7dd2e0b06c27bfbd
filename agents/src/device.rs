//! Where tensors live, and how many threads compute.

use tch::{Cuda, Device};

use crate::AgentError;

/// The device of a name: `cpu`, `cuda`, or `cuda:1`.
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
/// [`AgentError::Device`] when there is no such device, with what there is.
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
    let count = Cuda::device_count();
    if (index as i64) < count {
        return Ok(Device::Cuda(index));
    }
    Err(AgentError::Device(match count {
        0 => format!(
            "`{name}` is not there: libtorch sees no CUDA device (a libtorch with CUDA, given by LIBTORCH, is needed); use `cpu`"
        ),
        _ => format!("`{name}` is not there: libtorch sees {count} CUDA devices, counted from 0"),
    }))
}

/// Sets the number of threads that libtorch computes with.
///
/// libtorch's results on the CPU can depend on it: a run is repeated bit for bit only with the same number.
///
/// ```
/// coinop_agents::set_torch_threads(1);
/// ```
pub fn set_torch_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_devices_are_refused_with_what_there_is() {
        assert_eq!(device("cpu").unwrap(), Device::Cpu);
        for name in ["gpu", "cuda:x", "cuda:999", "CPU", ""] {
            assert!(device(name).is_err(), "{name}");
        }
        assert_eq!(
            device("gpu").unwrap_err().to_string(),
            "there is no device `gpu`: use `cpu`, `cuda` or `cuda:0`"
        );
    }
}
