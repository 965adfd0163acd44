"""The script in an exported folder: it classifies an image with nothing but ONNX Runtime and numpy."""

SCRIPT = '''"""Classify an image: python classify.py image.npy, uint8 of (channels, height, width)."""
import json, pathlib, sys
import numpy as np, onnxruntime
model = onnxruntime.InferenceSession(pathlib.Path(__file__).with_name("{file}"))
names = json.loads(model.get_modelmeta().custom_metadata_map["class_names"])
image, wanted = np.load(sys.argv[1]), tuple(model.get_inputs()[0].shape[1:])
if image.shape != wanted or image.dtype != np.uint8:
    sys.exit(f"error: the image is {{image.dtype}} {{image.shape}}; bring it to uint8 {{wanted}}")
logits = model.run(None, {{"image": image[None]}})[0][0]
shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
print(names[shares.argmax()], f"{{shares.max():.3f}}")
'''
