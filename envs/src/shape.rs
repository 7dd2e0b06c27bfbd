//! The shape of an observation.

use std::fmt;

/// Up to four dimensions, outermost first, e.g. `[4, 84, 84]` for stacked frames (stack, height, width). `Copy`, and
/// never allocates.
///
/// ```
/// use coinop_envs::Shape;
///
/// let shape = Shape::new(&[4, 84, 84]);
/// assert_eq!(shape.len(), 28_224);
/// assert_eq!(shape.to_string(), "4x84x84");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Shape {
    /// Dimensions beyond `rank` are 1, so that the product of all is the number of elements.
    dims: [usize; 4],
    rank: usize,
}

impl Shape {
    /// # Panics
    ///
    /// If there are more than four dimensions, none, or one of size 0.
    #[must_use]
    pub const fn new(dims: &[usize]) -> Self {
        assert!(
            !dims.is_empty() && dims.len() <= 4,
            "an observation has one to four dimensions"
        );
        let mut padded = [1; 4];
        let mut i = 0;
        while i < dims.len() {
            assert!(dims[i] > 0, "every dimension of an observation is at least 1");
            padded[i] = dims[i];
            i += 1;
        }
        Self {
            dims: padded,
            rank: dims.len(),
        }
    }

    /// The dimensions, outermost first.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// The number of elements; at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a shape is never empty")]
    pub const fn len(&self) -> usize {
        self.dims[0] * self.dims[1] * self.dims[2] * self.dims[3]
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, dim) in self.dims().iter().enumerate() {
            write!(f, "{}{dim}", if i == 0 { "" } else { "x" })?;
        }
        Ok(())
    }
}
