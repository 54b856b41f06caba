# SPDX-License-Identifier: Apache-2.0
"""Stating a proof in Amaranth, and running it with SymbiYosys. May import ``sim.tools`` and what lies below ``sim``."""
