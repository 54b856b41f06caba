# SPDX-License-Identifier: Apache-2.0
"""Device instances at speed, for Monte Carlo: equal to a macro on ``conversion.device_array`` in every bit of h.

Imports the room ``conversion`` of analog and golden below it.
"""
