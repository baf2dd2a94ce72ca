extension IOEvent where Callback: ~Copyable {
    /// Ends an event that nothing will take any more: its callback runs now, on this thread, with
    /// ECANCELED and a submitter that takes nothing.
    @inlinable
    package consuming func completeCancelled() {
        clearOutcome()
        failure = .cancelled
        status.insert(.done)
        let submitter = unsafe IOSubmitter<Callback>(target: IOBuffer.placeholder) {
            _, event, _ in
            .closed(event)
        }
        complete(submitter)
    }
}
