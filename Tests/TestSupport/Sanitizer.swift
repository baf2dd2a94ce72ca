internal import Glibc

/// What watches the process that runs.
public enum Sanitizer {
    public static let isAddress: Bool = unsafe dlsym(nil, "__asan_init") != nil

    /// ThreadSanitizer, which makes everything some ten times slower.
    public static let isThread: Bool = unsafe dlsym(nil, "__tsan_init") != nil
}
