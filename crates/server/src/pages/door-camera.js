// The camera: reads QR codes with the detector of the browser if there is one, else with the decoder of this program.

import { decodeQR } from "./vendor-qr.js";

/** Milliseconds from one picture that is read to the next. */
const LOOK_EVERY = 120;

/** Milliseconds for which a code that stays in the picture counts once. */
const SAME_FOR = 4_000;

/** The longer side of the picture that is decoded, in pixels. */
const SIDE_MAX = 720;

/** The detector of the browser, if it reads QR codes. */
async function detector() {
  if (!("BarcodeDetector" in globalThis)) return null;
  try {
    const formats = await globalThis.BarcodeDetector.getSupportedFormats();
    return formats.includes("qr_code") ? new globalThis.BarcodeDetector({ formats: ["qr_code"] }) : null;
  } catch {
    return null;
  }
}

/** Whether a page at this address may use a camera: HTTPS, or this machine itself. */
export const mayUseCamera = () => globalThis.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);

export class Camera {
  #video;
  #onCode;
  #stream = null;
  #detector = null;
  #canvas = document.createElement("canvas");
  #last = { text: "", at: 0 };

  /** `onCode` gets the text of each code that comes into the picture. */
  constructor(video, onCode) {
    this.#video = video;
    this.#onCode = onCode;
  }

  get isOn() {
    return this.#stream !== null;
  }

  /** Fails with a `DOMException` if there is no camera, or the user refuses it. */
  async start() {
    if (this.isOn) return;
    const video = { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } };
    this.#stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    this.#video.srcObject = this.#stream;
    await this.#video.play();
    this.#detector = await detector();
    this.#look(this.#stream);
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }

  async #look(stream) {
    while (this.#stream === stream) {
      const began = performance.now();
      const text = document.hidden ? null : await this.#read();
      const now = performance.now();
      if (text) {
        const isSame = text === this.#last.text && now - this.#last.at < SAME_FOR;
        this.#last = { text, at: now };
        if (!isSame) await this.#onCode(text);
      }
      // A slow phone rests as long as it works.
      await new Promise((resolve) => setTimeout(resolve, Math.max(LOOK_EVERY, now - began)));
    }
  }

  async #read() {
    if (this.#video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
    if (this.#detector) {
      try {
        return (await this.#detector.detect(this.#video))[0]?.rawValue ?? null;
      } catch {
        // Some browsers have a detector without a service behind it.
        this.#detector = null;
      }
    }
    const { videoWidth, videoHeight } = this.#video;
    const scale = Math.min(1, SIDE_MAX / Math.max(videoWidth, videoHeight));
    const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    if (!width || !height) return null;
    Object.assign(this.#canvas, { width, height });
    const context = this.#canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(this.#video, 0, 0, width, height);
    try {
      return decodeQR(context.getImageData(0, 0, width, height));
    } catch {
      // There is no code in this picture.
      return null;
    }
  }
}
