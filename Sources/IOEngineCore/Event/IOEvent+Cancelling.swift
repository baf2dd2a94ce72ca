extension IOEvent where Callback: ~Copyable {
    /// Ends an event that nothing will take any more: its callback runs now, on this thread, with
    /// ECANCELED and a submitter that takes nothing.
    ///
    /// For what came back from a submission, or stayed in a batch that was not taken whole.
    public consuming func completeCancelled() { completeRefused(.cancelled) }

    /// Ends an event that was not accepted, with this failure.
    @usableFromInline
    consuming func completeRefused(_ failure: IOFailure) {
        clearOutcome()
        self.failure = failure
        status.insert(.done)
        let submitter = unsafe IOSubmitter<Callback>(target: IOBuffer.placeholder) {
            _, event, _ in
            .closed(event)
        }
        complete(submitter)
    }
}
