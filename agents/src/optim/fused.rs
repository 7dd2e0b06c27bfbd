//! Numbers of tensors on the CPU, accessed directly: optimiser updates in one pass over memory, and copies.
//!
//! As a chain of tensor operations, each of which reads and writes everything, Adam moves 20 times the size of the
//! parameters; in one pass it moves 7 times as much. With the Nature network and PAAC's small batches the chain took
//! a sixth of the training time. Other devices use the chain.

use tch::{Device, Kind, TchError, Tensor};

/// The maximum number of parameters per task: smaller ones end before another thread is awake.
const PART: usize = 1 << 15;

/// Whether all tensors can be accessed directly: `f32` on the CPU, equally long, contiguous, and not overlapping.
pub(super) fn is_possible(tensors: &[&Tensor]) -> bool {
    let len = tensors[0].numel();
    let alike = tensors.iter().all(|tensor| is_plain(tensor) && tensor.numel() == len);
    let apart = |(i, a): (usize, &&Tensor)| {
        let (bytes, start) = (len * size_of::<f32>(), a.data_ptr() as usize);
        tensors[..i]
            .iter()
            .all(|b| start.abs_diff(b.data_ptr() as usize) >= bytes)
    };
    alike && tensors.iter().enumerate().all(apart)
}

fn is_plain(tensor: &Tensor) -> bool {
    tensor.device() == Device::Cpu && tensor.kind() == Kind::Float && tensor.is_contiguous()
}

/// Calls `each` with parts of the tensors to change and the same parts of the gradient.
///
/// # Panics
///
/// If this is not [possible](is_possible).
pub(super) fn update<const N: usize>(
    changed: [&mut Tensor; N],
    gradient: &Tensor,
    each: impl Fn([&mut [f32]; N], &[f32]) + Sync,
) -> Result<(), TchError> {
    let all: Vec<&Tensor> = changed.iter().map(|tensor| &**tensor).chain([gradient]).collect();
    assert!(is_possible(&all), "memories of their own, on the CPU");
    for tensor in &changed {
        count_change(tensor)?;
    }
    let (changed, gradient) = (changed.map(numbers_mut), numbers(gradient));
    let each = |changed: [&mut [f32]; N], gradient: &[f32]| with_wide_vectors(|| each(changed, gradient));
    if tch::get_num_threads() == 1 {
        each(changed, gradient);
    } else {
        in_parts(changed, gradient, &each);
    }
    Ok(())
}

/// libtorch counts the changes of a tensor, and must know of those that it does not make itself. This changes nothing else.
pub(crate) fn count_change(tensor: &Tensor) -> Result<(), TchError> {
    tch::no_grad(|| tensor.f_flatten(0, -1)?.f_narrow(0, 0, 0)?.f_zero_()).map(drop)
}

/// Sets the numbers of a tensor, in order, to those that `write` writes.
pub(crate) fn set(tensor: &mut Tensor, write: impl FnOnce(&mut [f32])) -> Result<(), TchError> {
    if is_plain(tensor) {
        count_change(tensor)?;
        write(numbers_mut(tensor));
        return Ok(());
    }
    let mut values = vec![0.0; tensor.numel()];
    write(&mut values);
    let values = Tensor::f_from_slice(&values)?.f_view_as(tensor)?;
    tch::no_grad(|| tensor.f_copy_(&values))
}

/// Calls `read` with the numbers of each tensor, in order.
pub(crate) fn get<T>(tensors: &[Tensor], read: impl FnOnce(Vec<&[f32]>) -> T) -> Result<T, TchError> {
    let copied = tensors.iter().filter(|tensor| !is_plain(tensor)).map(|tensor| {
        let mut values = vec![0.0; tensor.numel()];
        let len = values.len();
        tensor
            .f_to_device(Device::Cpu)?
            .f_to_kind(Kind::Float)?
            .f_contiguous()?
            .f_copy_data(&mut values, len)?;
        Ok(values)
    });
    let copied: Vec<Vec<f32>> = copied.collect::<Result<_, TchError>>()?;
    let mut copied = copied.iter();
    let parts = tensors.iter().map(|tensor| match is_plain(tensor) {
        true => numbers(tensor),
        false => copied.next().expect("a copy of each that is not plain"),
    });
    Ok(read(parts.collect()))
}

/// Does some arithmetic with AVX2 where the processor has it, which changes no result: square roots and quotients of eight
/// numbers take as long as those of four with the instructions that every x86-64 processor has.
pub(crate) fn with_wide_vectors<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide<T>(work: impl FnOnce() -> T) -> T {
            work()
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { wide(work) };
        }
    }
    work()
}

fn in_parts<const N: usize>(
    changed: [&mut [f32]; N],
    gradient: &[f32],
    each: &(impl Fn([&mut [f32]; N], &[f32]) + Sync),
) {
    if gradient.len() <= PART {
        return each(changed, gradient);
    }
    let middle = gradient.len() / 2;
    let mut right = Vec::with_capacity(N);
    let left = changed.map(|numbers| {
        let (left, rest) = numbers.split_at_mut(middle);
        right.push(rest);
        left
    });
    let Ok(right) = <[&mut [f32]; N]>::try_from(right) else {
        unreachable!("there is a right half of each")
    };
    let (first, second) = gradient.split_at(middle);
    rayon::join(|| in_parts(left, first, each), || in_parts(right, second, each));
}

fn numbers(tensor: &Tensor) -> &[f32] {
    // Of no numbers, libtorch has no memory: the pointer is null, which a slice must not be.
    if tensor.numel() == 0 {
        return &[];
    }
    // SAFETY: the callers have found the tensor plain, so that its memory holds that many numbers of this kind, one after another; it lives at least as
    // long as this handle of it. No other of the slices of an update is in it, as `update` has found, too. Other handles are not used meanwhile: what
    // `update`, `set` and `get` call has only slices and numbers that threads share, and threads do not share a network's tensors.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<f32>(), tensor.numel()) }
}

fn numbers_mut(tensor: &mut Tensor) -> &mut [f32] {
    if tensor.numel() == 0 {
        return &mut [];
    }
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), tensor.numel()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_changed_once_in_all_places_alike() {
        for len in [0, 1, PART, PART + 1, 5 * PART + 3] {
            let gradient: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let mut a = Tensor::zeros([len as i64], (Kind::Float, Device::Cpu));
            let mut b = a.ones_like();
            let version = a.f_internal_version().unwrap();
            update([&mut a, &mut b], &Tensor::from_slice(&gradient), |[a, b], gradient| {
                for ((a, b), gradient) in a.iter_mut().zip(b).zip(gradient) {
                    (*a, *b) = (*a + gradient, *b - gradient);
                }
            })
            .unwrap();
            assert_eq!(Vec::<f32>::try_from(&a).unwrap(), gradient);
            let expected: Vec<f32> = gradient.iter().map(|gradient| 1.0 - gradient).collect();
            assert_eq!(Vec::<f32>::try_from(&b).unwrap(), expected);
            assert!(len == 0 || a.f_internal_version().unwrap() != version);
        }
    }

    #[test]
    fn numbers_are_set_and_read_in_order_whatever_the_layout() {
        let plain = || Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        for mut tensor in [plain(), plain().view([3, 2]).tr(), plain().to_kind(Kind::Double)] {
            let version = tensor.f_internal_version().unwrap();
            set(&mut tensor, |numbers| {
                numbers.copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
            })
            .unwrap();
            assert_ne!(tensor.f_internal_version().unwrap(), version);
            assert_eq!(tensor.double_value(&[1, 0]), 4.0);
            let two = [tensor, Tensor::from_slice(&[7.0f32])];
            assert_eq!(
                get(&two, |parts| parts.concat()).unwrap(),
                [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
            );
        }
    }

    #[test]
    fn it_is_for_single_precision_in_one_piece() {
        let plain = Tensor::zeros([4, 4], (Kind::Float, Device::Cpu));
        assert!(is_possible(&[&plain, &plain.copy()]));
        assert!(!is_possible(&[&plain, &plain.copy().tr()]));
        assert!(!is_possible(&[
            &plain,
            &Tensor::zeros([4, 5], (Kind::Float, Device::Cpu))
        ]));
        // Two views that share some of their numbers, and two that do not.
        let whole = Tensor::zeros([10], (Kind::Float, Device::Cpu));
        let part = |start| whole.narrow(0, start, 5);
        assert!(!is_possible(&[&part(0), &part(4)]) && is_possible(&[&part(0), &part(5)]));
        assert!(!is_possible(&[&plain.to_kind(Kind::Double)]));
    }
}
