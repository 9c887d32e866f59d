import Testing
import Wire

@testable import Supervision

@Suite struct PlightTests {
    @Test(arguments: [
        (
            FailureReason.tooManyRestarts, 10,
            "exited with code 3; given up after 10 restarts within 60 s; `agentctl start A` tries again"
        ),
        (
            .tooManyRestarts, 1,
            "exited with code 3; given up after 1 restart within 60 s; `agentctl start A` tries again"
        ),
        (
            .tooManyRestarts, 0,
            "exited with code 3; given up at once, as its restart.intensity allows no restart; "
                + "`agentctl start A` tries again"
        ),
        (
            .rejectedConfiguration, 10,
            "exited with code 3; not tried again, because code 78 says that its configuration is wrong and the next "
                + "start would end the same way; correct it, then `agentctl reload` or `agentctl start A`"
        ),
        (.cannotExecute, 10, "exited with code 3; it is tried again by a reload or `agentctl start A`"),
    ])
    func sentences(reason: FailureReason, restarts: Int, expected: String) {
        var restart = RestartSettings()
        restart.intensity.restarts = restarts
        #expect(Plight.sentence("A", reason, trouble: "exited with code 3", restart: restart) == expected)
    }

    @Test(arguments: FailureReason.allCases) func eachHasANextStep(reason: FailureReason) {
        let text = Plight.sentence("A", reason, trouble: nil, restart: RestartSettings())
        #expect(text.contains("`agentctl ") && !text.contains("nil"))
    }
}
