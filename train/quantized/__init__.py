# SPDX-License-Identifier: Apache-2.0
"""Networks in the exact integers of the hardware, or on simulated chips, with straight-through gradients.

Imports the room ``float`` of train, and golden.
"""
