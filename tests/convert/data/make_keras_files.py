# SPDX-License-Identifier: Apache-2.0
"""Writes keras_files.zip beside it: small models that Keras itself saved, and what Keras computes with them.

    pip install keras==3.15.1 h5py torch
    KERAS_BACKEND=torch python make_keras_files.py

Every array is drawn, biases and statistics too, since zeros would hide an exchanged gate. The archive has each model as
NAME.keras and NAME.h5, and outputs.npz: ``x``, shape (4, 7, 3), and by NAME what the model makes of it.
"""

import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

STEPS, INPUTS = 7, 3


def sequential(*parts, steps=None):
    return keras.Sequential([keras.Input((steps, INPUTS)), *parts])


def by_hand():
    """Two directions, the backward one first, under names in another order than that of their classes."""
    x = keras.Input((STEPS, INPUTS), name="x")
    back = layers.LSTM(4, go_backwards=True, name="a")(x)
    ahead = layers.LSTM(4, name="z")(x)
    return keras.Model(x, layers.Dense(3, name="head")(layers.Concatenate()([back, ahead])))


def nested():
    inner = keras.Sequential([keras.Input((STEPS, INPUTS)), layers.GRU(4, return_sequences=True, name="inside")])
    x = keras.Input((STEPS, INPUTS))
    return keras.Model(x, layers.Dense(2)(layers.LSTM(3)(inner(x))))


def models():
    return {
        "lstm": sequential(layers.LSTM(4), layers.Dense(3, activation="softmax")),
        "gru_after": sequential(layers.GRU(4, return_sequences=True), layers.Dense(3)),
        "gru_before": sequential(
            layers.GRU(4, reset_after=False, return_sequences=True), layers.GlobalAveragePooling1D(), layers.Dense(3)
        ),
        "simple_rnn": sequential(
            layers.SimpleRNN(4, activation="relu", use_bias=False, return_sequences=True),
            layers.SimpleRNN(5),
            layers.Dense(2),
        ),
        "bidirectional": sequential(
            layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
            layers.Dropout(0.5),
            layers.Bidirectional(layers.GRU(3), merge_mode="sum"),
            layers.Dense(1, activation="sigmoid"),
        ),
        "average": sequential(
            layers.Bidirectional(layers.GRU(4, return_sequences=True), merge_mode="ave"),
            layers.GlobalAveragePooling1D(keepdims=True),
            layers.Dense(2),
        ),
        "backwards": sequential(
            layers.LSTM(4, go_backwards=True, return_sequences=True), layers.LSTM(3), layers.Dense(2)
        ),
        "backwards_last": sequential(layers.GRU(4, go_backwards=True), layers.Dense(2)),
        "by_hand": by_hand(),
        "nested": nested(),
        "mixed": sequential(
            layers.BatchNormalization(),
            layers.RNN(layers.LSTMCell(3), return_sequences=True),
            layers.TimeDistributed(layers.Dense(4, activation="tanh")),
            layers.LSTM(3, activation="softsign", recurrent_activation="hard_sigmoid", return_sequences=True),
            layers.BatchNormalization(scale=False),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2),
        ),
        "masked": sequential(layers.Masking(), layers.LSTM(2), layers.Dense(2)),
    }


def main():
    rng = np.random.default_rng(1)
    outputs = {"x": rng.normal(size=(4, STEPS, INPUTS)).astype(np.float32)}
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(Path(__file__).parent / "keras_files.zip", "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, model in models().items():
            # Variances must be positive; the other arrays may have any sign.
            model.set_weights(
                [
                    rng.uniform(0.5, 2, one.shape) if "variance" in one.path else rng.normal(0, 0.7, one.shape)
                    for one in model.weights
                ]
            )
            outputs[name] = np.asarray(model.predict(outputs["x"], verbose=0))
            for end in ("keras", "h5"):
                path = Path(folder) / f"{name}.{end}"
                model.save(path)
                archive.write(path, path.name)
        np.savez(Path(folder) / "outputs.npz", **outputs)
        archive.write(Path(folder) / "outputs.npz", "outputs.npz")


if __name__ == "__main__":
    main()
