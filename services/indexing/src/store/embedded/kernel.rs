//! Dot products of small integers: the first, rough scan of every dense vector.
//!
//! One function per kind of processor, chosen at run time; all give the same integers, so results never depend on the
//! machine. Nothing here decides what is found: `super::dense` computes the scores of all candidates again, in floating point.

#[cfg(target_arch = "x86_64")]
mod x86;

/// The number of codes in a row is a multiple of this; rows are padded with zeros.
pub const STEP: usize = 64;

/// The codes of a query vector, and the same codes plus 128, which some instructions need.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryCodes {
    codes: Vec<i8>,
    shifted: Vec<u8>,
}

/// `out[r] = query · rows[r]` for rows that lie one behind the other, each as long as the query. `sums[r]` is the sum of the
/// codes of a row.
type DotProducts = fn(query: &QueryCodes, rows: &[i8], sums: &[i32], out: &mut [i32]);

/// The arithmetic for a kind of processor.
#[derive(Clone, Copy)]
pub struct DotKernel {
    /// Its name, for people.
    pub name: &'static str,
    dots: DotProducts,
}

impl QueryCodes {
    /// From codes of -127 to 127, padded to whole steps.
    pub fn new(mut codes: Vec<i8>) -> Self {
        codes.resize(codes.len().next_multiple_of(STEP), 0);
        let shifted = codes.iter().map(|code| code.cast_unsigned() ^ 0x80).collect();
        Self { codes, shifted }
    }
}

impl DotKernel {
    /// The fastest that this processor runs.
    pub fn choose() -> Self {
        Self::all().pop().unwrap_or(PORTABLE)
    }

    /// Those that this processor runs, the fastest last.
    pub fn all() -> Vec<Self> {
        let mut kernels = vec![PORTABLE];
        #[cfg(target_arch = "x86_64")]
        kernels.extend(x86::detect());
        kernels
    }

    /// As many dot products as there are sums.
    pub fn dots(&self, query: &QueryCodes, rows: &[i8], sums: &[i32], out: &mut [i32]) {
        assert_eq!(rows.len(), sums.len() * query.codes.len());
        assert_eq!(out.len(), sums.len());
        (self.dots)(query, rows, sums, out);
    }
}

const PORTABLE: DotKernel = DotKernel {
    name: "portable",
    dots: |query, rows, _, out| {
        for (row, out) in rows.chunks_exact(query.codes.len()).zip(out) {
            let products = query.codes.iter().zip(row);
            *out = products.map(|(a, b)| i32::from(i16::from(*a) * i16::from(*b))).sum();
        }
    },
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_kernels_give_the_sums_written_out(
            (length, rows) in (1_usize..5).prop_flat_map(|steps| {
                let length = steps * STEP;
                (Just(length), prop::collection::vec(-127_i8..=127, length..length * 12))
            }),
            seed in any::<u64>(),
        ) {
            let rows = &rows[..rows.len() / length * length];
            let asked: Vec<i8> = (0..length).map(|at| {
                let mixed = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                i8::try_from(i64::try_from(mixed % 255).expect("small") - 127).expect("a code")
            }).collect();
            let rows_of = || rows.chunks_exact(length);
            let sums: Vec<i32> = rows_of().map(|row| row.iter().map(|code| i32::from(*code)).sum()).collect();
            let expected: Vec<i32> = rows_of()
                .map(|row| row.iter().zip(&asked).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum())
                .collect();
            let asked = QueryCodes::new(asked);
            for kernel in DotKernel::all() {
                let mut out = vec![7; sums.len()];
                kernel.dots(&asked, rows, &sums, &mut out);
                prop_assert_eq!(&out, &expected, "{}", kernel.name);
            }
        }
    }
}
