# SPDX-License-Identifier: Apache-2.0
"""Recipes: everything that a training run depends on, apart from its data.

Each ``*.toml`` file of this folder is a shipped recipe.
Imports golden.
"""
