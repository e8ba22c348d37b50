//! Logs of the images: defmt where the feature is on, and nothing elsewhere.

/// What a person may want to see.
#[macro_export]
macro_rules! info {
    ($text:literal $(, $arg:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::info!($text $(, $arg)*);
        #[cfg(not(feature = "defmt"))]
        { $(let _ = &$arg;)* }
    }};
}
