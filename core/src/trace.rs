//! Logs of the machines: one shim over `defmt` and `log`, and nothing without either.
//!
//! Messages use only `{}` and `{:?}`, which both understand. With both features on, defmt wins.

/// What happens in good order.
macro_rules! debug {
    ($text:literal $(, $arg:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::debug!($text $(, $arg)*);
        #[cfg(all(feature = "log", not(feature = "defmt")))]
        log::debug!($text $(, $arg)*);
        #[cfg(not(any(feature = "defmt", feature = "log")))]
        { $(let _ = &$arg;)* }
    }};
}

/// What a person should look at: a peer that breaks the protocol, a store that changed.
macro_rules! warning {
    ($text:literal $(, $arg:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::warn!($text $(, $arg)*);
        #[cfg(all(feature = "log", not(feature = "defmt")))]
        log::warn!($text $(, $arg)*);
        #[cfg(not(any(feature = "defmt", feature = "log")))]
        { $(let _ = &$arg;)* }
    }};
}

pub(crate) use {debug, warning};
