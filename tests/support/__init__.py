# SPDX-License-Identifier: Apache-2.0
"""What several test files share: drawn specifications, small designs, benches, an independent LSTM, a serial line.

Nothing here is a test. Tests import these modules; the modules import crossramp and each other.
"""
