extension IOContext where Callback: ~Copyable, Driver: ~Copyable {
    /// Runs a job on the loop's thread, between completions. A job that comes after the loop's end runs on
    /// the global pool.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if shared.isOnLoop, let side = unsafe shared.loopSide {
            unsafe side.assumingMemoryBound(to: ContextLoop<Callback, Driver>.self).pointee.jobs
                .append(job)
        } else if !shared.send(job) {
            StrayJobs.run(job)
        }
    }
}
