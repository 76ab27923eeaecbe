"""The platform loses and doubles nothing while each of its parts is killed under load.

Real nats-server, real Firestore emulator; what `./dev demo platform` shows.
"""

import harness
import nats_harness as nats
import platform_rig


class Platform(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        nats.need_server()
        platform_rig.need_emulator()

    def test_nothing_is_lost_or_doubled_while_each_part_dies_under_load(self):
        platform = platform_rig.Platform(self.home)
        self.addCleanup(platform.stop)
        platform.start()
        load = platform.under_load(seconds=1.0)
        self.assertGreater(len(load.sent), 100)
        lines = platform_rig.proof(platform, load)
        self.assertEqual(len(lines), 4 + platform_rig.COUNTERS)


if __name__ == "__main__":
    harness.main()
